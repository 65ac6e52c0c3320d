"""Random numbers of an example from its own seed, and work for those drawn."""

import jax
import jax.numpy as jnp

# On a CPU what few examples need is computed for so many at a time.
CHUNK = 16
PURPOSES = ("audio", "features")


def uniform(seed_b, purpose, count):
    """Numbers that nothing but an example's seed and the purpose decides.

    Args:
      seed_b: uint32, one per example.
      purpose: one of `PURPOSES`; each has numbers of its own.
      count: how many for every example.

    Returns:
      float32 [count, batch] in [0, 1).
    """
    # Named, as vmap gives other numbers with some of the other generators.
    key = jax.random.fold_in(
        jax.random.key(0, impl="threefry2x32"), PURPOSES.index(purpose)
    )

    def draw(seed):
        return jax.random.uniform(jax.random.fold_in(key, seed), (count,))

    return jax.vmap(draw, out_axes=1)(seed_b)


def where_drawn(on_b, function, audio_bs, value_b):
    """Applies (audio_bs, value_b) -> audio_bs to the examples that are drawn.

    A CPU leaves the others out; elsewhere it is quicker to compute all and choose.

    Args:
      on_b: whether an example is drawn, bool.
      function: works on any number of examples, on each alone.
      audio_bs: [batch, samples].
      value_b: what else it needs, [batch].

    Returns:
      [batch, samples].
    """
    if jax.default_backend() != "cpu":
        return jnp.where(on_b[:, None], function(audio_bs, value_b), audio_bs)
    size = min(CHUNK, len(on_b))
    drawn_first_b = jnp.argsort(~on_b, stable=True)

    def some(number, done_bs):
        # The last chunk may reach back and do some again, from what they were.
        row_n = jax.lax.dynamic_slice(drawn_first_b, (number * size,), (size,))
        old_ns = audio_bs[row_n]
        new_ns = function(old_ns, value_b[row_n])
        new_ns = jnp.where(on_b[row_n][:, None], new_ns, old_ns)
        return done_bs.at[row_n].set(new_ns, unique_indices=True)

    chunks = -(-jnp.sum(on_b) // size)
    return jax.lax.fori_loop(0, chunks, some, audio_bs)
