import jax
import jax.numpy as jnp
import numpy as np

from distill_jax.models.spec_augment import SpecAugment, spans


def runs(hidden_t):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden_t, [0]])))
    return edges[1::2] - edges[::2]


def test_spans_are_whole_and_inside_the_example():
    length_b = jnp.array([100, 37, 10, 9, 0])
    for seed in range(5):
        hidden = np.asarray(spans(jax.random.key(seed), length_b, 100, (0.3, 10, 1)))
        for length, hidden_t in zip(length_b, hidden, strict=True):
            assert not hidden_t[int(length) :].any()
            assert all(run >= 10 for run in runs(hidden_t))
        assert hidden[:3].any(axis=1).all()
        assert not hidden[3:].any()


def test_as_many_spans_are_drawn_as_the_share_asks_for():
    length_b = jnp.full(200, 1000)
    hidden = spans(jax.random.key(0), length_b, 1000, (0.1, 1, 0))
    counts = np.asarray(hidden).sum(axis=1)
    assert set(counts) <= {100, 101}
    assert np.asarray(hidden).mean(axis=0).max() < 0.25


def test_frames_take_the_embedding_and_channels_are_zero():
    x_btd = np.random.default_rng(0).normal(size=(2, 60, 24)).astype(np.float32)
    augment = SpecAugment(0.2, 5, 2, 0.2, 4, 1)
    found = np.asarray(augment.hide(jax.random.key(0), x_btd, jnp.full(24, 9.0)))
    zero_bd = (found == 0).all(axis=1)
    hidden_bt = ((found == 9) | (found == 0)).all(axis=2)
    assert zero_bd.any(axis=1).all() and hidden_bt.any(axis=1).all()
    kept = ~hidden_bt[:, :, None] & ~zero_bd[:, None, :]
    np.testing.assert_array_equal(found[kept], x_btd[kept])


def test_an_embedding_exists_where_either_share_does():
    assert SpecAugment(0.05, active=False).has_embedding
    assert SpecAugment(0.0, channel_share=0.1).has_embedding
    assert not SpecAugment(0.0).has_embedding
