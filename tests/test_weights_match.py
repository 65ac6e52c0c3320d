import time

import jax
import numpy as np
import pytest
import tiny_encoder
from tiny_encoder import CHECKPOINT, RULES

from distill_jax import weights
from distill_jax.weights import match, table


def tensors(seed=0, **sizes):
    return weights.to_torch(tiny_encoder.variables(seed, **sizes), RULES)


def facts(arrays):
    name_of = {"float32": "F32", "int64": "I64", "float16": "F16"}
    return {n: match.Fact(name_of[a.dtype.name], a.shape) for n, a in arrays.items()}


def problems(arrays, checkpoint=CHECKPOINT, **sizes):
    template = tiny_encoder.variables(**sizes)
    return match.match(facts(arrays), template, checkpoint).problems


def renamed(arrays, old, new):
    return {name.replace(old, new): array for name, array in arrays.items()}


def test_every_tensor_finds_its_leaf_with_and_without_a_prefix():
    tree = tiny_encoder.variables(head=True)
    plain = weights.to_torch(tree, RULES)
    prefixed = {n if "lm_head" in n else f"tiny.{n}": a for n, a in plain.items()}
    assert weights.to_torch(tree, CHECKPOINT).keys() == prefixed.keys()
    for arrays in (plain, prefixed):
        tiny_encoder.assert_same(weights.to_flax(arrays, CHECKPOINT, tree), tree)


def test_a_prefix_in_the_table_may_be_absent_from_the_file():
    rules = tuple((f"tiny.{torch}", flax, leaves) for torch, flax, leaves in RULES)
    checkpoint = CHECKPOINT._replace(rules=rules, optional=("tiny.mask",), heads=())
    assert problems(tensors(), checkpoint) == ()


def test_old_spellings_are_aliases_and_are_reported():
    arrays = renamed(tensors(), "parametrizations.weight.original0", "weight_g")
    arrays = renamed(arrays, "parametrizations.weight.original1", "weight_v")
    arrays["tiny.time_emb_vector"] = arrays.pop("mask")
    tree = tiny_encoder.variables()
    found = match.match(facts(arrays), tree, CHECKPOINT)
    assert found.problems == ()
    new = "encoder.pos_conv.parametrizations.weight"
    assert found.aliases == {
        "tiny.time_emb_vector": "mask",
        "encoder.pos_conv.weight_g": f"{new}.original0",
        "encoder.pos_conv.weight_v": f"{new}.original1",
    }
    tiny_encoder.assert_same(weights.to_flax(arrays, CHECKPOINT, tree), tree)


def test_optional_tensors_may_be_absent_and_ignored_ones_present():
    arrays = tensors()
    del arrays["mask"]
    arrays["tiny.quantizer.codevectors"] = np.zeros(3, np.float32)
    found = match.match(facts(arrays), tiny_encoder.variables(), CHECKPOINT)
    assert found.problems == ()
    assert found.ignored == {"tiny.quantizer.codevectors": "only for pretraining"}
    assert [pair.name for pair, name in found.pairs if name is None] == ["mask"]
    assert problems(arrays, RULES)[0].startswith("missing: mask (4,)")


def test_all_problems_are_listed_with_the_nearest_names():
    arrays = renamed(tensors(), "layers.1.ffn.weight", "layers.1.fnn.weight")
    arrays["encoder.distance.weight"] = np.zeros((5, 9), np.float32)
    arrays["encoder.layers.0.norm.bias"] = np.zeros(4, np.int64)
    arrays["tiny.encoder.layers.0.norm.weight"] = np.zeros(4, np.float32)
    arrays["optimizer"] = np.zeros(4, np.float32)
    assert problems(arrays) == (
        "ambiguous: encoder.layers.0.norm.weight is encoder.layers.0.norm.weight and "
        "tiny.encoder.layers.0.norm.weight",
        "misshaped: encoder.distance.weight is (5, 9), expected (9, 5)",
        "missing: encoder.layers.1.ffn.weight (6, 4); "
        "the checkpoint has encoder.layers.1.fnn.weight (6, 4)",
        "of another kind: encoder.layers.0.norm.bias is I64, the model holds float32",
        "unexpected: encoder.layers.1.fnn.weight (6, 4); "
        "the model has encoder.layers.1.ffn.weight",
        "unexpected: optimizer (4,)",
    )


def test_a_dtype_that_cannot_be_read_is_named():
    known = facts(tensors()) | {"mask": match.Fact("F8_E4M3", (4,))}
    found = match.match(known, tiny_encoder.variables(), CHECKPOINT)
    assert found.problems == (
        "unreadable: mask is F8_E4M3, for which there is no conversion; "
        "write it as F32, F16 or BF16",
    )


def test_everything_wrong_is_listed_within_seconds():
    arrays = {f"x.{n}": a for n, a in renamed(tensors(layers=150), "r", "R").items()}
    begun = time.perf_counter()
    assert len(problems(arrays, layers=150)) > 2000
    assert time.perf_counter() - begun < 5


def test_names_of_a_megabyte_get_no_hint():
    arrays = renamed(tensors(), "encoder.distance.weight", "encoder.distance" * 60_000)
    assert len(problems(arrays)) == 2


def test_leaves_without_a_row_with_two_or_of_one_tensor_are_named():
    tree = tiny_encoder.variables()
    rules = (
        *RULES[1:4],
        *RULES[5:],
        ("encoder.layers.7.ffn", "layers_{i}/ffn", weights.linear),
        ("same", "layers_{i}/depthwise", weights.linear),
    )
    with pytest.raises(ValueError, match="not complete") as error:
        table.expand(jax.eval_shape(lambda: tree), rules)
    said = str(error.value)
    assert "params/mask: 0 rows fit, expected one" in said
    assert (
        "params/layers_1/ffn/kernel: 2 rows fit (encoder.layers.1.ffn.weight, "
        "encoder.layers.7.ffn.weight), expected one" in said
    )
    assert "params/layers_0/depthwise/kernel: its row has the axes 'io'" in said
    assert "params/layers_1/depthwise/kernel: its row has" in said


def test_two_leaves_of_one_tensor_are_refused():
    tree = {"params": {"a": {"bias": np.zeros(2)}, "b": {"bias": np.zeros(2)}}}
    rules = (("x", "a", weights.linear), ("x", "b", weights.linear))
    with pytest.raises(ValueError, match=r"params/b/bias: is x.bias, as params/a/bias"):
        table.expand(tree, rules)
