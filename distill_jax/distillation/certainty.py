"""How far each teacher is trusted, for every example by itself."""

import jax
import jax.numpy as jnp

# Keeps the reciprocal of an entropy of 0 finite; the value of the original rule.
SMALLEST = 1e-5


def entropy(logits_mbc):
    """Entropy of each teacher's prediction, in nats.

    Args:
      logits_mbc: unnormalised log-probabilities, [teachers, batch, classes].

    Returns:
      [teachers, batch], between 0 and log(classes).

    Source: Shannon 1948, eq. 4.
    """
    log_mbc = jax.nn.log_softmax(logits_mbc.astype(jnp.float32))
    return -jnp.sum(jnp.exp(log_mbc) * log_mbc, axis=-1)


def by_entropy(logits_mbc, tau):
    """`softmax(-entropy / tau)` over the teachers: the surer one counts more.

    Args:
      logits_mbc: [teachers, batch, classes].
      tau: nats; small ones leave all to the surest teacher, large ones weigh alike.

    Returns:
      [teachers, batch], 1 in sum over the teachers.
    """
    return jax.nn.softmax(-entropy(logits_mbc) / tau, axis=0)


def by_inverse_entropy(logits_mbc, tau):
    """`softmax(1 / (entropy + 1e-5))`, which saturates.

    Of two teachers sure of 99 and of 95 % the first gets 0.999997: one entropy's
    reciprocal is ten nats from the other's. `tau` is not used.
    """
    del tau
    return jax.nn.softmax(1 / (entropy(logits_mbc) + SMALLEST), axis=0)


def alike(logits_mbc, tau):
    """The same for all; `tau` is not used."""
    del tau
    return jnp.full(logits_mbc.shape[:2], 1 / len(logits_mbc))


RULES = {
    "entropy": by_entropy,
    "inverse_entropy": by_inverse_entropy,
    "uniform": alike,
}
