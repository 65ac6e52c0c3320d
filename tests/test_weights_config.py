import json

import pytest

from distill_jax import weights

FIELDS = weights.Fields(
    handled={"hidden_size": weights.REQUIRED, "layer_norm_eps": 1e-5, "heads": [1]},
    inert=("tdnn_dim",),
    defaults={"add_adapter": False, "adapter_kernel_size": 3},
)


def test_guard_gives_handled_fields_with_their_defaults():
    config = {
        "hidden_size": 8,
        "heads": [2, 3],
        "tdnn_dim": "whatever",
        "add_adapter": False,
        "transformers_version": "5.23.0",
    }
    assert weights.guard(config, FIELDS) == {
        "hidden_size": 8,
        "layer_norm_eps": 1e-5,
        "heads": [2, 3],
    }


def test_guard_names_everything_that_it_refuses():
    config = {"model_type": "tiny", "add_adapter": True, "conv_pos_batch_norm": False}
    with pytest.raises(ValueError) as error:
        weights.guard(config, FIELDS)
    assert str(error.value).splitlines() == [
        "tiny asks for what this model does not do, and it would compute something "
        "else:",
        "  hidden_size is missing",
        "  add_adapter = True, only False is supported",
        "  conv_pos_batch_norm = False is not known",
    ]


def test_config_is_read_by_folder_and_by_name(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(FileNotFoundError, match=r"config.json it came with"):
        weights.read_config(tmp_path)
    path.write_text(json.dumps({"hidden_size": 8}))
    assert weights.read_config(tmp_path) == weights.read_config(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"config.json is truncated"):
        weights.read_config(tmp_path)


@pytest.mark.parity
def test_guard_follows_configs_that_transformers_writes(tmp_path):
    transformers = pytest.importorskip("transformers")
    transformers.Wav2Vec2BertConfig().save_pretrained(tmp_path)
    config = weights.read_config(tmp_path)
    known = {name: value for name, value in config.items()}
    assert weights.guard(config, weights.Fields({}, defaults=known)) == {}
    assert weights.guard(config | {"dtype": "bfloat16"}, weights.Fields(known)) == known
