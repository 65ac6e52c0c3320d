"""A keyword network as a job: windows of sound in, which word was said out.

With teachers it learns from their answers too, and from clips without a label.
"""

import jax
import jax.numpy as jnp
import optax

from distill_jax import losses
from distill_jax.audio import augment, front_end
from distill_jax.task import Task
from distill_jax.tasks.caching import data
from distill_jax.tasks.networks import front, model, steps
from distill_jax.tasks.tuition import PROJECTORS, build, opened, terms
from distill_jax.tasks.words import (
    bank,
    counted,
    heard,
    rate_hz,
    summed,
    varied,
)
from distill_jax.teachers import lessons

__all__ = [
    "annotate",
    "data",
    "front",
    "make",
    "mixed",
    "model",
    "rate_hz",
    "student_of",
]

PREVIEWS = 4


def annotate(front, settings, masks, tuition):
    """Makes the function that adds features, and what teachers say, to a batch.

    Args:
      front: `front_end.FrontEnd`.
      settings: `augment.Settings` for batches to train on, those with a `step`.
      masks: `augment.Masks`, likewise; teachers hear what they hide from the student.
      tuition: `Tuition`. Its teachers are asked while training, unless the batch
        already has what they said.

    Returns:
      (frozen, batch) -> batch with `feature_btf`, [batch, frames, mels], and the fields
      of `lessons.taught`.
    """

    def annotated(frozen, batch):
        audio_bs = heard(batch, frozen["bank"], settings)
        feature_btf = front_end.log_mel(audio_bs, front)
        if "step" not in batch:
            return {**batch, "feature_btf": feature_btf}
        if masks.times or masks.bands:
            feature_btf = augment.spec_augment(feature_btf, batch["mask_seed_b"], masks)
        said = {}
        if tuition.lessons and lessons.LOGITS not in batch:
            variables = frozen["teachers"]
            said = lessons.taught(tuition.lessons, variables, audio_bs, tuition.rows)
        return {**batch, "feature_btf": feature_btf, **said}

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


def student_of(params):
    """The student's parameters out of those that were trained with it."""
    return {name: leaf for name, leaf in params.items() if name != PROJECTORS}


def make(config):
    """Builds the job.

    Args:
      config: as `configs/distill.py` gives it, with `labels` as `data` leaves it.

    Returns:
      A `Task`. The batches it reads have `audio_bs`, `label_b` (-1 where it is not
      known), `weight_b`, `seed_b` and, while training, `step` and `mask_seed_b`.

    Raises:
      ValueError: see `tuition.build` and `teachers.load`.
    """
    return taught_by(config, opened(config))


def taught_by(config, found, run=None):
    """The job with teachers that are already open; see `make`.

    Args:
      config: as for `make`.
      found: list of `Teacher`.
      run: what stands in for the `apply` of the student's module, of the same
        signature; None is the module itself.

    Returns:
      A `Task`.
    """
    module = model(config)
    run = run or module.apply
    tuition = build(config, found, steps(module))
    examples = targets_of(len(config.labels), config.label_smoothing, config.mixup)
    last = f"layer_{len(module.plan()) - 1}_byxi"

    def init(rng):
        variables = module.init(rng, jnp.zeros((1, *module.size)))
        student = variables.pop("params")
        rng = jax.random.fold_in(rng, 1)
        return {**student, **tuition.init(rng, module.channels[-1])}, variables

    def load(params):
        # Where answers are kept nobody is asked.
        asked = [] if config.distill.views else [each.variables for each in found]
        return params, {"bank": bank(config), "teachers": asked}

    def apply(params, state, feature_btf, train):
        dtype = jax.tree.leaves(params)[0].dtype
        variables = {"params": student_of(params), **state}
        moving = list(state) if train else False
        feature_btf = feature_btf.astype(dtype)
        result = run(variables, feature_btf, train=train, mutable=moving)
        (logits_bc, out), state = result if train else (result, state)
        feature_bi = out[last].mean(axis=2) if tuition.rows else out["embed_bd"]
        return logits_bc.astype(jnp.float32), feature_bi, state

    def loss_fn(params, state, batch, rng):
        weight_b, (feature_btf, target_bc) = batch["weight_b"], examples(batch, rng)
        logits_bc, feature_bi, state = apply(params, state, feature_btf, train=True)
        hard_b, shown = hard(logits_bc, target_bc, batch)
        if not tuition.lessons:
            return losses.mean(hard_b, weight_b), (state, shown)
        student, projectors = (logits_bc, feature_bi), params.get(PROJECTORS, {})
        soft_b, align_b, more = terms(tuition, projectors, student, batch)
        alpha = tuition.alpha
        loss_b = (1 - alpha) * hard_b + alpha * soft_b + tuition.align * align_b
        return losses.mean(loss_b, weight_b), (state, {**shown, **more})

    def eval_fn(params, state, batch):
        target_bc = jax.nn.one_hot(batch["label_b"], len(config.labels))
        logits_bc, *_ = apply(params, state, batch["feature_btf"], train=False)
        counts = counted(logits_bc, target_bc, batch["label_b"])
        return summed(counts, batch["weight_b"])

    def preview(params, state, batch):
        del params, state
        return {
            "heard_bs": batch["audio_bs"][:PREVIEWS],
            "heard_bft": batch["feature_btf"][:PREVIEWS].swapaxes(1, 2),
        }

    masks = augment.Masks(**config.masks)
    return Task(
        init=init,
        loss_fn=loss_fn,
        eval_fn=eval_fn,
        load=load,
        annotate=annotate(front(config), varied(config), masks, tuition),
        preview=preview,
    )


def targets_of(classes, smoothing, alpha):
    """Makes (batch, rng) -> features and the probabilities its labels stand for.

    Args:
      classes: how many.
      smoothing: share that is spread over all classes.
      alpha: of `mixed`; 0 mixes nothing.
    """

    def examples(batch, rng):
        target_bc = jax.nn.one_hot(batch["label_b"], classes)
        target_bc = optax.smooth_labels(target_bc, smoothing)
        if alpha > 0:
            return mixed(rng, batch["feature_btf"], target_bc, alpha)
        return batch["feature_btf"], target_bc

    return examples


def hard(logits_bc, target_bc, batch):
    """The loss of the labels, 0 where there is none, and what to show of it.

    Args:
      logits_bc: [batch, classes].
      target_bc: probabilities.
      batch: has `label_b` and `weight_b`.

    Returns:
      Nats, [batch], and means over the labelled examples.
    """
    known_b = (batch["label_b"] >= 0).astype(jnp.float32)
    found = counted(logits_bc, target_bc, batch["label_b"])
    weight_b = batch["weight_b"] * known_b
    shown = {
        "hard": losses.mean(found["loss"], weight_b),
        "accuracy": losses.mean(found["accuracy"], weight_b),
    }
    return found["loss"] * known_b, shown
