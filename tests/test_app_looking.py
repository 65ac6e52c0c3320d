"""Checkpoints in the work directory."""

import json

import pytest
from tiny_extraction import BERT, PREPROCESSOR, save_model, voice

from distill_jax import semantic
from distill_jax.app import looking, places
from distill_jax.audio import files

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    save_model(root / "models" / "bert", BERT, PREPROCESSOR)
    for number in range(2):
        path = root / "sounds" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        files.write(path, voice(number, 8000), RATE_HZ, {})
    return root


def test_a_checkpoint_is_told_and_held_against_its_model(root):
    assert looking.choices(root) == ["models/bert"]
    text, table, fits = looking.look(root, "models/bert")
    assert fits is True and "every tensor fits the model" in text
    assert "<td>F32</td>" in table and "encoder.layers.0" in table
    config = root / "models" / "bert" / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"num_hidden_layers": 9}))
    text, _, fits = looking.look(root, "models/bert")
    config.write_text(before)
    assert fits is False and "what does not fit the model" in text


def test_what_is_no_checkpoint_or_outside_is_refused(root):
    with pytest.raises(places.OutsideError):
        looking.look(root, "../x")
    with pytest.raises(ValueError, match="does not exist"):
        looking.look(root, "nothing")
    with pytest.raises(FileNotFoundError, match="neither"):
        looking.look(root, "sounds")
    with pytest.raises(ValueError, match="no name"):
        looking.request(root, "models/bert", "sounds", "../out", 1)


def test_features_are_extracted_once_and_what_is_broken_is_told(root):
    wanted = looking.request(root, "models/bert", "sounds", "features", 1)
    events = list(looking.extract(wanted))
    assert [(e.step, e.steps) for e in events] == [(0, 0), (1, 2), (2, 2)]
    found = semantic.find(root / "features", root / "sounds" / "0.wav")
    assert found.ndim == 2 and found.shape[1] == BERT["hidden_size"]
    assert len(list(looking.extract(wanted))) == 1
    (root / "sounds" / "broken.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"1 files were left out:\n.*broken.wav"):
        list(looking.extract(wanted))
    with pytest.raises(ValueError, match="holds other features"):
        list(looking.extract(wanted._replace(layer=0)))
