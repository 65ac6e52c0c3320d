import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distill_jax.models import attention
from distill_jax.models.long_attention import Blocks, Drop, Table, block_attention
from distill_jax.models.self_attention import Context, Positions, SelfAttention

LEFT, RIGHT, WIDTH = 6, 3, 8


def draw(frames, batch=2, heads=2, seed=0):
    rng = np.random.default_rng(seed)
    qkv = rng.normal(size=(3, batch, heads, frames, WIDTH)).astype(np.float32)
    table_rk = rng.normal(size=(LEFT + RIGHT + 1, WIDTH)).astype(np.float32)
    return tuple(qkv), table_rk


def dense(qkv, table_rk, mask_bu=None):
    query, key, value = qkv
    score = attention.scores(query, key)
    score += attention.relative_key_scores(query, table_rk, LEFT)
    return attention.weigh(score, value, mask_bu)


def by_definition(qkv, table_rk):
    """With an embedding of every pair of frames, in float64."""
    query, key, value = (np.asarray(x, np.float64) for x in qkv)
    frame = np.arange(query.shape[2])
    distance = np.clip(frame[None, :] - frame[:, None], -LEFT, RIGHT) + LEFT
    score = np.einsum("bhtk,bhuk->bhtu", query, key)
    score += np.einsum("bhtk,tuk->bhtu", query, table_rk[distance])
    weight = np.exp(score / np.sqrt(WIDTH))
    weight /= weight.sum(axis=-1, keepdims=True)
    return np.einsum("bhtu,bhuk->bhtk", weight, value)


def half_masked(frames):
    return jnp.arange(frames)[None] < jnp.array([[frames], [frames // 2 + 1]])


@pytest.mark.parametrize("frames", [1, 2, 9, 30])
def test_scores_of_distances_follow_their_definition(frames):
    qkv, table_rk = draw(frames)
    found = dense(qkv, table_rk)
    np.testing.assert_allclose(found, by_definition(qkv, table_rk), atol=1e-5)


@pytest.mark.parametrize("one_head", [False, True])
@pytest.mark.parametrize("frames", [5, 16, 45])
def test_blocks_equal_the_dense_form_with_gradients(frames, one_head):
    qkv, table_rk = draw(frames, seed=frames)
    mask_bu = half_masked(frames)
    pull = np.random.default_rng(9).normal(size=qkv[0].shape).astype(np.float32)
    blocks = Blocks(queries=8, one_head=one_head)

    def in_blocks(qkv, table_rk):
        return block_attention(qkv, mask_bu, Table(table_rk, LEFT), blocks)

    def at_once(qkv, table_rk):
        return dense(qkv, table_rk, mask_bu)

    @jax.jit
    def both(qkv, table_rk):
        return [
            (y, pull_back(pull))
            for y, pull_back in (
                jax.vjp(form, qkv, table_rk) for form in (in_blocks, at_once)
            )
        ]

    found, expected = both(qkv, table_rk)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_blocks_without_table_or_mask_equal_the_dense_form():
    qkv, _ = draw(21)
    found = jax.jit(lambda qkv: block_attention(qkv, blocks=Blocks(8)))(qkv)
    expected = attention.weigh(attention.scores(*qkv[:2]), qkv[2])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_large_scores_do_not_overflow():
    qkv, table_rk = draw(20)
    qkv = (200 * qkv[0], 200 * qkv[1], qkv[2])
    table = Table(table_rk, LEFT)
    found = block_attention(qkv, None, table, Blocks(8))
    np.testing.assert_allclose(found, dense(qkv, table_rk), atol=1e-4)


def test_an_example_without_real_frames_attends_evenly():
    qkv, table_rk = draw(11)
    mask_bu = jnp.zeros((2, 11), bool)
    even = jnp.broadcast_to(qkv[2].mean(axis=2, keepdims=True), qkv[2].shape)
    found = block_attention(qkv, mask_bu, Table(table_rk, LEFT), Blocks(4))
    np.testing.assert_allclose(found, even, atol=1e-6)
    np.testing.assert_allclose(dense(qkv, table_rk, mask_bu), even, atol=1e-6)


@pytest.mark.parametrize("one_head", [False, True])
def test_memory_of_gradients_grows_linearly_with_length(one_head):
    blocks = Blocks(queries=32, one_head=one_head)

    def loss(qkv, table_rk):
        return block_attention(qkv, None, Table(table_rk, LEFT), blocks).sum()

    def temporary(frames):
        shapes = jax.eval_shape(lambda: draw(frames, batch=1))
        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(*shapes).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    short, long = temporary(2048), temporary(8192)
    assert long < 4.5 * short
    assert long < 8192 * 8192 * 4 / 8


def test_half_precision_keeps_its_type():
    qkv, table_rk = draw(20)
    half, table = (
        jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), tree)
        for tree in (qkv, table_rk)
    )
    expected = by_definition(qkv, table_rk)
    for found in (
        dense(half, table),
        block_attention(half, None, Table(table, LEFT), Blocks(8)),
    ):
        assert found.dtype == jnp.bfloat16
        np.testing.assert_allclose(found.astype(np.float32), expected, atol=0.1)


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    x = np.random.default_rng(0).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    query, key = (jnp.broadcast_to(a, (1, 1, 12, 8)) for a in x)
    query, key = (attention.rotate(a, 10000.0) for a in (query, key))
    lengths = jnp.linalg.norm(query, axis=-1)
    np.testing.assert_allclose(lengths, np.linalg.norm(x[0]), rtol=1e-5)
    score = np.asarray(attention.scores(query, key))[0, 0]
    np.testing.assert_allclose(score[1:, 1:], score[:-1, :-1], atol=1e-5)


def test_rows_are_shifted_against_each_other():
    row = jnp.broadcast_to(jnp.arange(7.0), (1, 1, 4, 7))
    found = attention.shift_rows(row)[0, 0, :, :4]
    expected = [[3, 4, 5, 6], [2, 3, 4, 5], [1, 2, 3, 4], [0, 1, 2, 3]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["relative_key", "rotary", "none"])
def test_both_forms_of_the_module_agree(kind):
    x_btd = np.random.default_rng(0).normal(size=(2, 30, 16)).astype(np.float32)
    context = Context(half_masked(30))
    positions = Positions(kind, LEFT, RIGHT)
    dense_form = SelfAttention(2, positions, form="dense")
    variables = jax.jit(dense_form.init)(jax.random.key(0), x_btd, context)
    blocks_form = SelfAttention(2, positions, form="blocks")
    found = jax.jit(blocks_form.apply)(variables, x_btd, context)
    expected = jax.jit(dense_form.apply)(variables, x_btd, context)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_refuse_positions_that_they_do_not_know():
    relative = SelfAttention(2, Positions("relative"), form="blocks")
    with pytest.raises(ValueError, match="form='auto' or 'dense'"):
        relative.init(jax.random.key(0), np.zeros((1, 4, 16), np.float32), Context())


@pytest.mark.parametrize("one_head", [False, True])
def test_blocks_drop_weights_after_the_softmax(one_head):
    (query, key, _), table_rk = draw(40)
    value = jnp.broadcast_to(jnp.eye(40), (2, 2, 40, 40))
    blocks, table = Blocks(16, one_head), Table(table_rk, LEFT)
    qkv = (query, key, value)
    kept = block_attention(qkv, None, table, blocks)
    drop = Drop(0.3, jax.random.key(0))
    attend = jax.jit(lambda drop: block_attention(qkv, None, table, blocks, drop))
    dropped = np.asarray(attend(drop))
    zero = dropped == 0
    assert abs(zero.mean() - 0.3) < 0.02
    np.testing.assert_allclose(dropped[~zero], kept[~zero] / 0.7, rtol=1e-4)
    # No two heads or blocks drop alike.
    patterns = zero.reshape(4, 40, 40)[:, :32].reshape(4, 2, 16, 5, 8)
    patterns = patterns.transpose(0, 1, 3, 2, 4).reshape(40, -1)
    assert len(np.unique(patterns, axis=0)) == 40
