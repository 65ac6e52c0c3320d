import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_vae

from distill_jax import sound_report
from distill_jax.audio import files
from distill_jax.sound_report import baselines, job, quality

RATE = tiny_vae.RATE_HZ


@pytest.fixture(scope="module")
def run(trained_vae, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(trained_vae, workdir)
    return workdir, sound_report.write(workdir)


def numbers(value):
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) or value is None else []


def test_report_has_every_figure_and_all_are_finite(run):
    workdir, _ = run
    figures = json.loads((workdir / "report" / "report.json").read_text())
    assert None not in numbers(figures) and np.isfinite(numbers(figures)).all()
    held_out = figures["held_out"]
    for name in ("reconstruction", "ceiling", "nearest", "pca", "mean"):
        assert set(held_out[name]) == set(quality.MEASURES)
        assert all(value >= 0 for value in held_out[name].values())
    assert held_out["ceiling"]["magnitude_l1"] == 0
    assert set(held_out["share_closer_than"]) == {"nearest", "pca"}
    assert set(figures["nearest_training_sound"]) == {
        "generated",
        "held_out",
        "training",
    }
    assert figures["latents"]["latents"] == len(figures["latents"]["kl_nats_z"]) == 8
    assert (
        figures["run"]["training_files"] == 6 and figures["run"]["held_out_files"] == 3
    )
    assert figures["run"]["step_judged"] == 2 and figures["run"]["parameters"] > 1000


def test_report_means_are_those_of_the_values_it_keeps(run):
    workdir, figures = run
    with np.load(workdir / "report" / "held_out.npz") as kept:
        for name in quality.NAMES:
            for measure in quality.MEASURES:
                value_n = kept[f"{name}_{measure}_n"]
                assert len(value_n) == figures["held_out"]["windows"]
                expected = figures["held_out"][name][measure]
                assert value_n.mean() == pytest.approx(expected, rel=1e-6)


def test_report_pictures_and_sounds_are_whole(run):
    workdir, _ = run
    folder = workdir / "report"
    pictures = {path.stem for path in folder.glob("*.png")}
    channels = ("level", "frequency")
    assert pictures == {"curves", "distances", "latents", "memory"} | {
        f"{name}_{channel}"
        for name in ("spectrograms", "generated")
        for channel in channels
    }
    sounds = sorted((folder / "audio").glob("*.wav"))
    kinds = ("original", "round_trip", "model")
    assert {path.stem for path in sounds} == {f"generated_{n}" for n in range(6)} | {
        f"held_out_{n}_{kind}" for n in range(3) for kind in kinds
    }
    for path in sounds:
        expected = 4 * RATE if path.stem.startswith("generated") else RATE
        assert files.probe(path).frames == expected
        assert files.read_settings(path)["sound"] == path.stem


def test_report_plays_the_held_out_originals_as_they_were_recorded(run):
    workdir, _ = run
    # The split is by content: whatever was held out is one of the recordings.
    root = Path(json.loads((workdir / "config.json").read_text())["data"]["root"])
    recorded = [files.read(path, RATE) for path in root.rglob("*.wav")]
    for path in (workdir / "report" / "audio").glob("held_out_*_original.wav"):
        heard_s = files.read(path, RATE)
        assert min(np.abs(heard_s - other_s).max() for other_s in recorded) < 1e-5


def test_report_page_shows_the_names_of_files_as_text(run):
    workdir, _ = run
    text = (workdir / "report" / "index.html").read_text(encoding="utf-8")
    assert "<far>" not in text and "&lt;far&gt;" in text


def test_report_keeps_the_posterior_of_every_training_window(run):
    workdir, _ = run
    opened = job.load(workdir)
    with np.load(workdir / "report" / "latents.npz") as kept:
        mean_nz, log_var_nz = opened.model.encode(opened.train.audio_ns)
        np.testing.assert_array_equal(kept["mean_nz"], mean_nz)
        np.testing.assert_array_equal(kept["log_var_nz"], log_var_nz)
        # A second in windows of a half, half a window apart: three of each file.
        assert len(kept["names"]) == 6 * 3 and len(set(kept["names"])) == 6
        np.testing.assert_allclose(kept["start_seconds_n"][:3], [0, 0.25, 0.5])
        assert kept["step"] == 2


def test_report_is_the_same_when_it_is_written_again(run, capsys):
    workdir, _ = run
    page = workdir / "report" / "index.html"
    before = (workdir / "report" / "report.json").read_bytes(), page.read_bytes()
    sound_report.write(workdir)
    after = (workdir / "report" / "report.json").read_bytes(), page.read_bytes()
    assert before == after
    printed = capsys.readouterr().out
    assert "reconstruction" in printed and str(page) in printed


def test_nearest_of_training_windows_is_themselves(run):
    workdir, _ = run
    opened = job.load(workdir)
    values = dict(baselines.compare(opened.model, opened.train, opened.train))
    for measure in ("log_mel_l1", "mrstft", "magnitude_l1"):
        np.testing.assert_allclose(values["nearest"][measure], 0, atol=1e-6)
    # More latents than components could use: the training windows are kept but
    # for what 8 components cannot hold, and the mean holds less.
    assert values["pca"]["magnitude_l1"].mean() < values["mean"]["magnitude_l1"].mean()


def test_report_works_on_the_smallest_corpus(run, tmp_path):
    workdir, _ = run
    shutil.copytree(workdir, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["data"]["root"] = str(tiny_vae.tones(tmp_path / "sounds", 2))
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    figures = sound_report.write(tmp_path / "run")
    assert figures["run"]["training_files"] == figures["run"]["held_out_files"] == 1
    # No other training file to be near to: null in the file, no figure.
    text = (tmp_path / "run" / "report" / "report.json").read_text()
    assert json.loads(text)["nearest_training_sound"]["training"]["median"] is None


def test_report_of_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="run"):
        sound_report.write(tmp_path)
