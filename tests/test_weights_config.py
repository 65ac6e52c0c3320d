import json

import pytest

from distill_jax import weights


def test_config_is_read_by_folder_and_by_name(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(FileNotFoundError, match=r"config.json it came with"):
        weights.read_config(tmp_path)
    path.write_text(json.dumps({"hidden_size": 8}))
    assert weights.read_config(tmp_path) == weights.read_config(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"config.json is truncated"):
        weights.read_config(tmp_path)
