import json
import logging

import pytest

from distill_jax import workdir

CONFIG = {"steps": 10, "seed": 0, "data": {"root": "a", "workers": 1}, "size": (1, 2)}


def test_config_is_written_at_the_start(tmp_path):
    workdir.keep_config(tmp_path / "run", CONFIG, resuming=False)
    assert workdir.read_config(tmp_path / "run") == CONFIG | {"size": [1, 2]}


def test_same_config_resumes_in_silence(tmp_path, caplog):
    for resuming in (False, True):
        workdir.keep_config(tmp_path, CONFIG, resuming)
    assert not caplog.records


def test_changed_config_is_refused_with_every_change(tmp_path):
    workdir.keep_config(tmp_path, CONFIG, resuming=False)
    changed = CONFIG | {"seed": 1, "data": {"root": "b", "workers": 1}, "new": None}
    del changed["size"]
    with pytest.raises(workdir.ConfigChangedError) as error:
        workdir.keep_config(tmp_path, changed, resuming=True)
    message = str(error.value)
    for line in (
        "seed: 0 -> 1",
        'data.root: "a" -> "b"',
        "new: absent -> null",
        "size: [1, 2] -> absent",
        "new --workdir",
    ):
        assert line in message
    assert "workers:" not in message
    assert workdir.read_config(tmp_path)["seed"] == 0


def test_free_settings_may_change_and_are_told(tmp_path, caplog):
    workdir.keep_config(tmp_path, CONFIG, resuming=False)
    changed = CONFIG | {"steps": 20, "data": {"root": "a", "workers": 4}}
    with caplog.at_level(logging.WARNING):
        workdir.keep_config(tmp_path, changed, resuming=True)
    assert "steps: 10 -> 20" in caplog.text
    assert "data.workers: 1 -> 4" in caplog.text
    assert workdir.read_config(tmp_path)["steps"] == 20


def test_config_is_free_until_something_was_learnt(tmp_path):
    workdir.keep_config(tmp_path, CONFIG, resuming=False)
    workdir.keep_config(tmp_path, CONFIG | {"seed": 5}, resuming=False)
    assert workdir.read_config(tmp_path)["seed"] == 5


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the work directory of a run"):
        workdir.read_config(tmp_path)


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "values.json"
    workdir.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        workdir.write_json(path, {"a": [1, object()]})
    assert json.loads(path.read_text()) == {"a": 1}
