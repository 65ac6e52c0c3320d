import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny_vae

from distill_jax import cli, progress, sound_report
from distill_jax.audio import files
from distill_jax.cli import verbs

ROOT = tiny_vae.CONFIG.parents[1]
RATE_HZ = tiny_vae.RATE_HZ


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where compiled programs are kept, so that nothing is left on this machine."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(home, trained_vae, tmp_path_factory):
    """A real run of two steps; sounds of different lengths lie beside it."""
    folder = tmp_path_factory.mktemp("job")
    tiny_vae.recordings(folder / "sounds")
    workdir = shutil.copytree(trained_vae, folder / "run")
    sound_report.load(workdir)
    return workdir


def sounds_of(run):
    return sorted((run.parent / "sounds").rglob("*.wav"))


def seconds(path):
    return len(files.read(path, RATE_HZ)) / RATE_HZ


def test_reconstruct_takes_files_and_folders_and_keeps_lengths(run, lines, tmp_path):
    first = sounds_of(run)[0]
    said = lines(
        "reconstruct", first, run.parent / "sounds", "--workdir", run, "--out", tmp_path
    )
    made = [
        tmp_path / line.removeprefix(f"{tmp_path}/").split(" (")[0] for line in said
    ]
    assert len(made) == len(set(made)) == 1 + len(sounds_of(run))
    assert seconds(made[0]) == seconds(first)
    settings = files.read_settings(made[0])
    assert settings["source"] == str(first) and settings["step"] == 2
    assert settings["verb"] == "reconstruct" and settings["workdir"] == str(run)


def test_reconstruct_leaves_out_bad_audio_and_names_it(run, refused, tmp_path):
    good, bad, worse = sounds_of(run)[0], tmp_path / "bad.wav", tmp_path / "worse.flac"
    bad.write_bytes(b"RIFF and nothing more")
    worse.write_bytes(b"")
    said = refused(
        "reconstruct", bad, good, worse, "--workdir", run, "--out", tmp_path / "out"
    )
    assert str(bad) in said and str(worse) in said and str(good) not in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == [good.name]


def test_reconstruct_never_replaces_an_original(run, refused):
    first = sounds_of(run)[0]
    before = first.read_bytes()
    said = refused("reconstruct", first, "--workdir", run, "--out", first.parent)
    assert "--out" in said and first.read_bytes() == before


def test_reconstruct_wants_a_sound_that_exists(run, refused, tmp_path):
    assert "name files" in refused("reconstruct", "--workdir", run)
    missing = tmp_path / "no.wav"
    assert "no.wav does not exist" in refused("reconstruct", missing, "--workdir", run)
    assert "no sound file" in refused("reconstruct", tmp_path, "--workdir", run)


def test_generate_is_exact_repeatable_and_tells_how_it_was_made(run, lines, tmp_path):
    command = ["generate", "--workdir", run, "--seconds", 0.7, "--temperature", 0.5]
    first = lines(*command, "-n", 2, "--seed", 3, "--out", tmp_path / "a")
    again = lines(*command, "--count", 1, "--seed", 4, "--out", tmp_path / "b")
    assert [line.rpartition("/")[2].split(" ")[0] for line in first + again] == [
        "generated_3.wav",
        "generated_4.wav",
        "generated_4.wav",
    ]
    second, other = tmp_path / "a/generated_4.wav", tmp_path / "b/generated_4.wav"
    assert second.read_bytes() == other.read_bytes()
    assert (tmp_path / "a/generated_3.wav").read_bytes() != second.read_bytes()
    assert seconds(second) == 0.7
    settings = files.read_settings(second)
    expected = {"seed": 4, "seconds": 0.7, "temperature": 0.5, "prior": "fitted"}
    assert expected.items() <= settings.items()
    assert settings["step"] == 2 and settings["program"].startswith("distill_jax ")


def test_generate_writes_flac_and_draws_from_the_standard_prior(run, lines, tmp_path):
    command = ["generate", "--workdir", run, "--seconds", 0.2, "--out", tmp_path]
    lines(*command, "--format", "flac", "--prior", "standard")
    assert files.read_settings(tmp_path / "generated_0.flac")["prior"] == "standard"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--count", 0),
        ("--seed", -1),
        ("--seconds", 0),
        ("--seconds", "nan"),
        ("--temperature", -0.1),
        ("--axis", "brightness"),
        ("--axis", "brightness=much"),
        ("--axis", "brightness=inf"),
    ],
)
def test_generate_refuses_what_cannot_be_made(run, refused, option, value):
    assert option in refused("generate", "--workdir", run, option, value)


def test_analyse_names_only_what_it_found_and_generate_moves_there(
    run, lines, refused, tmp_path
):
    (run / "report/analysis.json").unlink(missing_ok=True)
    command = ["generate", "--workdir", run, "--seconds", 0.3, "--out", tmp_path]
    assert "distill-jax analyse" in refused(*command, "--axis", "axis1=1")

    said = lines("analyse", "--workdir", run)
    assert said[0].startswith("axis1: ")
    assert said[-1] == str(run / "report/analysis.html")
    # Two steps of training are not enough for a name.
    assert all("no name" in line for line in said if line.startswith("axis"))

    said = refused(*command, "--axis", "warmth=+1")
    assert "'warmth'" in said and "no axis of this model has earned a name" in said
    said = lines(*command, "--axis", "axis1=+99", "--axis", "axis2=-0.5")
    assert "axis1=+99 is outside the safe range" in said[0]
    made = next(tmp_path.glob("generated_0_axis1+*_axis2-0.5.wav"))
    position_of = files.read_settings(made)["axis"]
    assert 0 < position_of["axis1"] < 10 and position_of["axis2"] == -0.5


def test_interpolate_writes_both_ends_and_what_lies_between(run, lines, tmp_path):
    start, end = sounds_of(run)[:2]
    command = ["interpolate", start, end, "--workdir", run, "--out", tmp_path]
    lines(*command, "--steps", 3)
    made = sorted(tmp_path.glob("*.wav"))
    assert [path.stem[-2:] for path in made] == ["00", "01", "02"]
    assert {seconds(path) for path in made} == {min(seconds(start), seconds(end))}
    assert [files.read_settings(path)["mix"] for path in made] == [[0.0], [0.5], [1.0]]
    lines(*command, "--morph")
    (morph,) = tmp_path.glob("*_morph.wav")
    assert files.read_settings(morph)["mix"] == [0.0, 1.0]


def test_interpolate_refuses_one_step_and_damaged_sounds(run, refused, tmp_path):
    start = sounds_of(run)[0]
    command = ["interpolate", start, start, "--workdir", run]
    assert "--steps" in refused(*command, "--steps", 1)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    assert str(bad) in refused("interpolate", start, bad, "--workdir", run)


@pytest.mark.parametrize("verb", ["generate", "analyse"])
def test_a_folder_without_a_run_is_told_how_to_train_one(home, refused, tmp_path, verb):
    said = refused(verb, "--workdir", tmp_path)
    assert str(tmp_path) in said and "distill_jax.main --config=configs/vae.py" in said


def test_a_report_of_another_checkpoint_is_refused(run, refused):
    path = run / "report/latents.npz"
    before = path.read_bytes()
    with np.load(path) as saved:
        np.savez(path, **dict(saved) | {"step": 1})
    try:
        assert "step 1" in refused("generate", "--workdir", run)
        assert "step 1" in refused("analyse", "--workdir", run)
    finally:
        path.write_bytes(before)


def test_what_would_clip_is_turned_down_and_said(capsys, tmp_path):
    loud_s = 4 * np.sin(np.arange(1000) / 10)
    with progress.bar([1], "test") as bar:
        verbs.save(bar, tmp_path / "x.wav", loud_s, {"rate_hz": RATE_HZ})
        verbs.save(bar, tmp_path / "y.wav", loud_s / 8, {"rate_hz": RATE_HZ})
    said = capsys.readouterr().out
    assert "x.wav (turned down by 13.0 dB" in said and "y.wav\n" in said
    peak = np.abs(files.read(tmp_path / "x.wav", RATE_HZ)).max()
    np.testing.assert_allclose(peak, 10 ** (-1 / 20), atol=1e-3)
    assert files.read_settings(tmp_path / "x.wav")["gain_db"] == pytest.approx(-13.04)
    assert "gain_db" not in files.read_settings(tmp_path / "y.wav")


def test_a_full_disk_or_a_file_in_the_way_is_a_message(run, refused, tmp_path):
    (tmp_path / "out").write_text("not a folder")
    said = refused(
        "generate", "--workdir", run, "--seconds", 0.2, "--out", tmp_path / "out"
    )
    assert "out" in said


def test_unexpected_errors_keep_their_traceback(run, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(verbs.sounds, "generate", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["generate", "--workdir", str(run)])


@pytest.mark.parametrize("verb", ["reconstruct", "generate", "interpolate", "analyse"])
def test_help_explains_every_option_with_an_example(capsys, verb):
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"Example: distill-jax {verb} " in said and "--workdir" in said


def test_help_does_not_wait_for_jax_and_mistakes_end_with_status_2(tmp_path):
    program = (
        "import sys; from distill_jax import cli\n"
        "assert not {'jax', 'gradio'} & set(sys.modules)\n"
        "try:\n  cli.main()\n"
        "finally:\n  assert 'gradio' not in sys.modules"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", program, "generate", "--workdir", str(tmp_path)]
    job = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert job.returncode == 2 and "Traceback" not in job.stderr
    assert job.stderr.startswith("distill-jax: ")
