"""The sound VAE from a form, played with sliders."""

import json
import shutil

import numpy as np
import pytest
import tiny_vae

from distill_jax import sound, sound_analysis
from distill_jax.app import places, playing
from distill_jax.audio import files

RATE_HZ = tiny_vae.RATE_HZ


@pytest.fixture(scope="module")
def root(trained_vae, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(trained_vae, root / "tiny")
    tiny_vae.recordings(root / "sounds", 3)
    return root


@pytest.fixture(scope="module")
def instrument(root):
    return playing.opened(root, "tiny")


def analysis(size):
    axes = [
        {"name": name, "vector": vector, "std": 2.0, "safe": [-1.5, 1.25]}
        for name, vector in zip((None, "pitch"), np.eye(size)[:2].tolist(), strict=True)
    ]
    return {"axes": axes, "mean": [0.0] * size}


def test_a_run_without_report_plays_and_says_what_is_missing(root, instrument):
    assert playing.players(root) == ["tiny"]
    assert "its report is missing" in instrument.note
    assert "no axis is known" in instrument.note and playing.sliders(instrument) == []
    wish = playing.Wish(3, 0.7, 0.8, {})
    audio_s = playing.generate(instrument, wish, playing.PREVIEW)
    assert len(audio_s) == round(0.7 * RATE_HZ) and np.abs(audio_s).max() <= 1
    again_s = playing.generate(instrument, wish, playing.PREVIEW)
    np.testing.assert_array_equal(audio_s, again_s)
    other_s = playing.generate(instrument, wish._replace(seed=4), playing.PREVIEW)
    assert not np.array_equal(audio_s, other_s)


def test_sliders_are_the_axes_and_stay_in_their_safe_range(instrument, monkeypatch):
    size = instrument.sound.config.model.latent
    found = instrument._replace(analysis=analysis(size))
    assert playing.sliders(found) == [
        ("pitch", "pitch", -1.5, 1.25),
        ("axis1", "axis 1 (no name)", -1.5, 1.25),
    ]
    paths = []
    monkeypatch.setattr(
        playing.sounds,
        "generate",
        lambda model, path_nz, samples, iterations: (
            paths.append(path_nz) or np.zeros(9)
        ),
    )
    wish = playing.Wish(0, 0.5, 0.5, {"pitch": 99.0, "axis1": -1.0})
    playing.generate(found, wish)
    np.testing.assert_allclose(
        paths[0][:, :2], [[-2.0, 2.5]] * len(paths[0]), rtol=1e-5
    )


@pytest.mark.parametrize(
    "wrong", [{"seconds": 1e6}, {"seed": -1}, {"temperature": 9.0}]
)
def test_numbers_out_of_range_are_refused(instrument, wrong):
    with pytest.raises(ValueError):
        playing.generate(instrument, playing.Wish(0, 1.0, 0.5, {})._replace(**wrong))


def test_sounds_are_mixed_drawn_and_saved(root, instrument):
    sounds = sorted((root / "sounds").rglob("*.wav"))
    start_s, end_s = (files.read(path, RATE_HZ)[: RATE_HZ // 2] for path in sounds[:2])
    made_s = playing.between(instrument, start_s, end_s, 0.5, morph=False)
    assert len(made_s) == min(len(start_s), len(end_s))
    assert playing.drawn(instrument, made_s).startswith(b"\x89PNG")
    paths = [playing.save(instrument, made_s, {"mix": 0.5}) for _ in range(2)]
    assert [path.name for path in paths] == ["sound_001.wav", "sound_002.wav"]
    about = files.read_settings(paths[0])
    assert (about["mix"], about["run"], about["step"]) == (0.5, "tiny", 2)
    assert places.served(root, "tiny/made/sound_001.wav")


def test_a_form_becomes_settings_and_a_folder(root):
    form = playing.Form("mine", "sounds", 7, "model.latent=5\nbatch=3")
    config, folder = playing.config(root, form)
    assert folder == root / "mine" and config.data.root == str(root / "sounds")
    assert (config.steps, config.model.latent, config.batch) == (7, 5, 3)


def test_a_run_goes_on_with_its_own_settings_and_with_sounds_of_the_root(root):
    with pytest.raises(places.OutsideError):  # It was trained elsewhere.
        playing.config(root, playing.Form("tiny"))
    folder = root / "moved"
    folder.mkdir()
    values = json.loads((root / "tiny" / "config.json").read_text())
    values["data"]["root"] = str(root / "sounds")
    (folder / "config.json").write_text(json.dumps(values))
    config, folder = playing.config(root, playing.Form("moved", steps=4))
    assert (config.steps, config.model.latent) == (4, 8)
    (folder / "config.json").write_text('{"task": "qat"}')
    with pytest.raises(ValueError, match="task 'qat'"):
        playing.config(root, playing.Form("moved"))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"name": "../x"}, "no name"),
        ({"data": "/tmp"}, "outside"),
        ({"changes": "data.root=/etc"}, "a field of its own"),
        ({"changes": "data={}"}, "a field of its own"),
        ({"changes": "modell=1"}, "modell"),
    ],
)
def test_a_form_that_cannot_be_is_refused(root, fields, match):
    with pytest.raises(ValueError, match=match):
        playing.config(root, playing.Form("mine")._replace(**fields))


@pytest.mark.slow
@pytest.mark.long
def test_training_ends_with_a_report_and_axes(root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = shutil.copytree(root / "tiny", root / "again")
    config = sound.load(folder).config
    events = list(playing.train(config, folder))
    assert [event.number for event in events] == [1, 2, 3]  # All steps were done.
    found = playing.opened(root, "again")
    assert not found.note and playing.sliders(found)
    assert sound_analysis.read(folder, 2) == found.analysis
    name, *after = playing.version(root, "again")
    assert name == "again" and after != list(playing.version(root, "tiny")[1:])
