"""The encoders against stored results of transformers; golden/make_hf.py made them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors import safe_open
from tiny_speech import rules_of

from distill_jax import weights
from distill_jax.models import hf

FILES = sorted((Path(__file__).parent / "golden").glob("*.safetensors"))


def test_there_are_files_and_they_are_small():
    assert len(FILES) == 8
    assert sum(path.stat().st_size for path in FILES) < 200_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_hidden_state_equals_the_stored_one(path):
    with safe_open(path, "numpy") as file:
        config = json.loads(file.metadata()["config"])
    arrays = weights.read(path)
    x, mask = arrays["x"], arrays["mask"]
    tensors = {
        name.removeprefix("weight."): array
        for name, array in arrays.items()
        if name.startswith("weight.")
    }
    model = hf.from_config(config)
    template = jax.eval_shape(model.init, jax.random.key(0), x, mask)
    variables = weights.to_flax(tensors, rules_of(config), template)
    run = jax.jit(lambda v: (model.apply(v, x), model.apply(v, x, mask)))
    (bare, _), (last, out) = run(variables)
    np.testing.assert_allclose(bare, arrays["bare.last"], atol=1e-5)
    np.testing.assert_allclose(last, arrays["masked.last"], atol=1e-5)
    for index, state in enumerate(out["hidden_nbtd"]):
        expected = arrays[f"masked.hidden_{index}"]
        np.testing.assert_allclose(state, expected, atol=1e-5)
