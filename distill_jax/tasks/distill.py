"""A keyword network as a job: windows of sound in, which word was said out."""

import jax
import jax.numpy as jnp
import optax

from distill_jax import losses
from distill_jax.audio import augment, front_end
from distill_jax.models.tiny_conv import TinyConv
from distill_jax.task import Task
from distill_jax.tasks.words import (
    bank,
    counted,
    data,
    heard,
    rate_hz,
    summed,
    varied,
    window_samples,
)

__all__ = ["annotate", "data", "front", "make", "mixed", "model", "rate_hz"]

PREVIEWS = 4


def front(config):
    """The settings of the features, `front_end.FrontEnd`, checked."""
    settings = front_end.FrontEnd(**config.front_end)
    front_end.check(settings)
    return settings


def model(config):
    """The module, sized for one window and for `config.labels`."""
    settings = front(config)
    return TinyConv(
        classes=len(config.labels),
        channels=tuple(config.model.channels),
        strides=tuple(config.model.strides),
        use_depthwise=config.model.use_depthwise,
        residual=config.model.residual,
        size=(front_end.frames(window_samples(config), settings), settings.mels),
    )


def annotate(front, settings, masks):
    """Makes the function that adds the features of the audio to a batch.

    Args:
      front: `front_end.FrontEnd`.
      settings: `augment.Settings` for batches to train on, those with a `step`.
      masks: `augment.Masks`, likewise.

    Returns:
      (bank, batch) -> batch with `feature_btf`, [batch, frames, mels].
    """

    def annotated(bank, batch):
        feature_btf = front_end.log_mel(heard(batch, bank, settings), front)
        if "step" in batch and (masks.times or masks.bands):
            feature_btf = augment.spec_augment(feature_btf, batch["mask_seed_b"], masks)
        return {**batch, "feature_btf": feature_btf}

    return annotated


def mixed(rng, feature_btf, target_bc, alpha):
    """Mixes each example with its neighbour, all of a batch in one proportion.

    Args:
      rng: a key.
      feature_btf: [batch, frames, mels].
      target_bc: probabilities, [batch, classes].
      alpha: of the beta distribution that the proportion is drawn from.

    Returns:
      Both, mixed.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    share = jax.random.beta(rng, alpha, alpha)
    return jax.tree.map(
        lambda x_b: share * x_b + (1 - share) * jnp.roll(x_b, 1, axis=0),
        (feature_btf, target_bc),
    )


def make(config):
    """Builds the job.

    Args:
      config: as `configs/distill.py` gives it, with `labels` as `data` leaves it.

    Returns:
      A `Task`. The batches it reads have `audio_bs`, `label_b`, `weight_b`, `seed_b`
      and, while training, `step`.
    """
    module, classes = model(config), len(config.labels)
    smoothing, alpha = config.label_smoothing, config.mixup

    def init(rng):
        variables = module.init(rng, jnp.zeros((1, *module.size)))
        return variables.pop("params"), variables

    def loss_fn(params, state, batch, rng):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        target_bc = optax.smooth_labels(target_bc, smoothing)
        feature_btf = batch["feature_btf"]
        if alpha > 0:
            feature_btf, target_bc = mixed(rng, feature_btf, target_bc, alpha)
        dtype = jax.tree.leaves(params)[0].dtype
        (logits_bc, _), state = module.apply(
            {"params": params, **state},
            feature_btf.astype(dtype),
            train=True,
            mutable=list(state),
        )
        found = counted(logits_bc.astype(jnp.float32), target_bc, batch["label_b"])
        means = {
            name: losses.mean(value_b, batch["weight_b"])
            for name, value_b in found.items()
        }
        return means.pop("loss"), (state, means)

    def classify(params, state, batch):
        feature_btf = batch["feature_btf"].astype(jax.tree.leaves(params)[0].dtype)
        logits_bc, _ = module.apply({"params": params, **state}, feature_btf)
        return logits_bc.astype(jnp.float32)

    def eval_fn(params, state, batch):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        logits_bc = classify(params, state, batch)
        found = counted(logits_bc, target_bc, batch["label_b"])
        return summed(found, batch["weight_b"])

    def preview(params, state, batch):
        del params, state
        return {
            "heard_bs": batch["audio_bs"][:PREVIEWS],
            "heard_bft": batch["feature_btf"][:PREVIEWS].swapaxes(1, 2),
        }

    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=lambda params: (params, bank(config)),
        annotate=annotate(
            front(config),
            varied(config),
            augment.Masks(**config.masks),
        ),
        preview=preview,
    )
