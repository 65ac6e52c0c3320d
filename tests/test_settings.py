import pytest
import tiny_words

from distill_jax import settings


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("nowhere.py", (), r"nowhere\.py is missing"),
        (f"{tiny_words.CONFIG}:loud", (), "expected variants out of"),
        (f"{tiny_words.CONFIG}:tiny", ("batch",), "expected NAME=VALUE"),
        (f"{tiny_words.CONFIG}:tiny", ("batches=3",), "batches"),
        (f"{tiny_words.CONFIG}:tiny", ("batch=many",), "batch"),
    ],
)
def test_settings_that_are_not_there_are_refused(name, changes, match):
    with pytest.raises((FileNotFoundError, ValueError), match=match):
        settings.read(name, changes)


def test_settings_are_read_as_the_training_command_reads_them():
    config = settings.read(
        f"{tiny_words.CONFIG}:tiny", ("batch=4", "data.root=a b", "teachers=('x',)")
    )
    assert (config.batch, config.data.root, config.teachers) == (4, "a b", ("x",))


def test_configs_that_come_along_are_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings.read("configs/vae.py:tiny").task == "vae"
    (tmp_path / "configs").mkdir()
    mine = "from ml_collections import ConfigDict\n\n"
    mine += "def get_config():\n    return ConfigDict({'task': 'mine'})\n"
    (tmp_path / "configs" / "vae.py").write_text(mine)
    assert settings.read("configs/vae.py").task == "mine"
