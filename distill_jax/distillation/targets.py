"""Soft targets: what the student should answer, and how far it is from it."""

import jax
import jax.numpy as jnp


def of_probabilities(logits_mbc, weight_mb, temperature):
    """Weighted mean of the teachers' probabilities.

    Where the teachers disagree it has a peak for each.

    Args:
      logits_mbc: [teachers, batch, classes].
      weight_mb: 1 in sum over the teachers.
      temperature: logits are divided by it.

    Returns:
      Log-probabilities, [batch, classes].
    """
    log_mbc = jax.nn.log_softmax(logits_mbc / temperature)
    # A weight of 0 would make its teacher's gradient NaN; nothing flows to them.
    log_weight_mb1 = jnp.log(weight_mb)[..., None]
    return jax.nn.logsumexp(log_mbc + log_weight_mb1, axis=0)


def of_logits(logits_mbc, weight_mb, temperature):
    """Softmax of the weighted mean of the teachers' logits.

    A product of their probabilities: one that is very sure outvotes the others, and so
    does one whose logits are on a larger scale.

    Args and result as of `of_probabilities`.
    """
    mean_bc = jnp.sum(weight_mb[..., None] * logits_mbc, axis=0)
    return jax.nn.log_softmax(mean_bc / temperature)


MIXTURES = {"probabilities": of_probabilities, "logits": of_logits}


def kl(target_bc, logits_bc, temperature):
    """KL divergence of the student from the targets, times the squared temperature.

    The square keeps the size of gradients where temperatures are high.

    Args:
      target_bc: log-probabilities at that temperature, [batch, classes].
      logits_bc: of the student, [batch, classes].
      temperature: of both.

    Returns:
      Nats, [batch]; 0 where both agree.

    Source: Hinton et al. 2015, "Distilling the knowledge in a neural network",
      section 2.
    """
    student_bc = jax.nn.log_softmax(logits_bc / temperature)
    # 0 log 0 is 0.
    term_bc = jnp.where(
        target_bc > -jnp.inf, jnp.exp(target_bc) * (target_bc - student_bc), 0.0
    )
    return temperature**2 * jnp.sum(term_bc, axis=1)


def _fixed(first, last, done):
    del last, done
    return first


def _linear(first, last, done):
    return first + (last - first) * done


def _exponential(first, last, done):
    return first * (last / first) ** done


SCHEDULES = {"fixed": _fixed, "linear": _linear, "exponential": _exponential}


def temperature(kind, first, last, steps):
    """The temperature of each step.

    Args:
      kind: "fixed", "linear" or "exponential".
      first: of step 0.
      last: of step `steps` and later ones; not used by "fixed".
      steps: updates of the run.

    Returns:
      (step) -> temperature.

    Raises:
      ValueError: there is no such kind, or a temperature is not above 0.
    """
    if kind not in SCHEDULES or not min(first, last) > 0:
        raise ValueError(
            f"a temperature goes {', '.join(SCHEDULES)} between values above 0; found "
            f"{kind!r} from {first} to {last}"
        )

    def at(step):
        done = jnp.clip(step / max(steps, 1), 0.0, 1.0)
        return SCHEDULES[kind](first, last, done)

    return at
