"""Every differentiable term, each giving one value per example."""

import jax.numpy as jnp


def mean(loss_b, weight_b):
    """Weighted mean over examples: the only reduction over the batch.

    Args:
      loss_b: one value per example, [batch].
      weight_b: not negative, [batch]; 0 leaves an example out.

    Returns:
      A scalar; 0 where all weights are 0.
    """
    return jnp.sum(loss_b * weight_b) / jnp.maximum(jnp.sum(weight_b), 1e-8)


def l1(prediction_bft, target_bft):
    """Mean absolute difference, [batch].

    Args:
      prediction_bft: [batch, mels, frames].
      target_bft: the same shape.
    """
    return jnp.mean(jnp.abs(prediction_bft - target_bft), axis=(1, 2))


def weighted_l1(prediction_bft, target_bft, weight_bft):
    """Absolute difference averaged with weights inside each example, [batch].

    Weights are divided by their sum, so loud and quiet examples count alike and
    the loss is never negative. An example whose weights are all 0 gives 0.

    Args:
      prediction_bft: [batch, mels, frames].
      target_bft: the same shape.
      weight_bft: not negative, the same shape.
    """
    error_b = jnp.sum(weight_bft * jnp.abs(prediction_bft - target_bft), axis=(1, 2))
    return error_b / jnp.maximum(jnp.sum(weight_bft, axis=(1, 2)), 1e-8)


def kl_normal(mean_bz, log_var_bz):
    """KL divergence of N(mean, exp(log_var)) from N(0, 1) in nats, [batch, latents].

    Source: Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (jnp.square(mean_bz) + jnp.expm1(log_var_bz) - log_var_bz)


def free_bits(kl_bz, weight_b, nats):
    """KL summed over latents, with no pull on those that carry less than `nats`.

    The floor is on the batch mean of each latent, so that one latent may be
    silent for one sound and loud for another; its mean over the batch is
    `sum_z max(nats, mean_b kl_bz)`.

    Args:
      kl_bz: nats, [batch, latents].
      weight_b: weight of each example, [batch].
      nats: the floor per latent.

    Returns:
      Nats, [batch].

    Source: Kingma et al. 2016, "Improved variational inference with inverse
    autoregressive flow", eq. 15.
    """
    total = jnp.maximum(jnp.sum(weight_b), 1e-8)
    mean_z = jnp.sum(kl_bz * weight_b[:, None], axis=0) / total
    floored_bz = jnp.where((mean_z > nats)[None, :], kl_bz, nats)
    return jnp.sum(floored_bz, axis=1)
