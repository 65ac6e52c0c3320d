"""What a student learns from teachers: the terms of its loss, and their projectors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from distill_jax import losses, teachers
from distill_jax.distillation import alignment, certainty, targets
from distill_jax.models.projector import Projector
from distill_jax.teachers import lessons

PROJECTORS = "projectors"
BINS = 10  # of the histograms of weights


class Tuition(NamedTuple):
    """How a student is taught; plain values.

    Attributes:
      lessons: tuple of `lessons.Lesson`; empty without teachers.
      rows: time steps of the student that are aligned, 0 for the mean of the window.
      weigh: (logits_mbc) -> weight_mb, of the teachers.
      mix: (logits_mbc, weight_mb, temperature) -> log-probabilities [b, c].
      temperature: (step) -> temperature.
      distance: (projected, target) -> [b].
      alpha: share of the soft targets in the loss, the rest being the labels'.
      align: weight of the distances, their mean over all aligned layers.
      inner: width inside a projector.
    """

    lessons: tuple = ()
    rows: int = 0
    weigh: Callable | None = None
    mix: Callable | None = None
    temperature: Callable | None = None
    distance: Callable | None = None
    alpha: float = 0.0
    align: float = 0.0
    inner: int = 0

    @property
    def layers(self):
        """{name of an aligned layer: width}."""
        return lessons.aligned(self.lessons)

    def init(self, rng, width):
        """Parameters of the projectors, {"projectors": …}; {} if nothing is aligned.

        Args:
          rng: key.
          width: of the student's features.
        """
        if not self.layers:
            return {}
        rngs = jax.random.split(rng, len(self.layers))
        made = {
            name: Projector(wide, self.inner).init(each, jnp.zeros((1, width)))
            for each, (name, wide) in zip(rngs, self.layers.items(), strict=True)
        }
        return {PROJECTORS: {name: made[name]["params"] for name in made}}


def opened(config):
    """The teachers of a run, list of `Teacher`; see `teachers.load` for the errors.

    Raises:
      ValueError: one takes sound at another rate than the student.
    """
    found = [
        teachers.load(folder, config.labels, config.distill.dtype)
        for folder in config.teachers
    ]
    rate_hz = config.front_end.rate_hz
    odd = [f"{each.name} ({each.rate_hz} Hz)" for each in found]
    if any(each.rate_hz != rate_hz for each in found):
        raise ValueError(
            f"the student takes {rate_hz} Hz, its teachers {', '.join(odd)}; they hear "
            "the same audio, so set config.front_end.rate_hz or choose other teachers"
        )
    return found


def build(config, found, rows):
    """The `Tuition` of a run.

    Args:
      config: as `configs/distill.py` gives it.
      found: its teachers.
      rows: time steps of the student.

    Raises:
      ValueError: a setting is not one of those known; see also `lessons.lessons`.
    """
    settings = config.distill
    if not found:
        return Tuition()
    _check(config)
    rule, tau = certainty.RULES[settings.weighting], settings.tau
    return Tuition(
        lessons.lessons(found, tuple(config.teacher_alignment_layers)),
        rows if settings.over_time else 0,
        lambda logits_mbc: rule(logits_mbc, tau),
        targets.MIXTURES[settings.mixture],
        targets.temperature(
            settings.schedule,
            settings.temperature,
            settings.temperature_last,
            config.steps,
        ),
        alignment.DISTANCES[settings.distance],
        settings.alpha,
        settings.align,
        settings.inner,
    )


def _check(config):
    settings, problems = config.distill, []
    for name, known in (
        ("weighting", certainty.RULES),
        ("mixture", targets.MIXTURES),
        ("distance", alignment.DISTANCES),
    ):
        value = settings[name]
        if value not in known:
            problems.append(f"{name} is {value!r}, expected {', '.join(known)}")
    if not 0 <= settings.alpha <= 1:
        problems.append(f"alpha is {settings.alpha}, expected 0 to 1")
    for name in ("tau", "inner"):
        if not settings[name] > 0:
            problems.append(f"{name} is {settings[name]}, expected more than 0")
    if settings.align < 0:
        problems.append(f"align is {settings.align}, expected 0 or more")
    if config.mixup > 0:
        problems.append(
            "config.mixup is above 0, but teachers hear clips that are not mixed; set "
            "it to 0"
        )
    if problems:
        raise ValueError("config.distill: " + "; ".join(problems))


def terms(tuition, projectors, student, batch):
    """What the teachers add to the loss.

    Args:
      tuition: `Tuition` with teachers.
      projectors: their parameters by the name of their layer.
      student: its logits [b, c] and `features`, [b, i] or [b, rows, i].
      batch: has `step` and the fields of `lessons.taught`.

    Returns:
      `soft_b` and `align_b`, [b] each, and metrics to show, scalars and `*_n` arrays.
    """
    logits_bc, feature_bi = student
    weight_b = batch["weight_b"]
    logits_mbc = batch[lessons.LOGITS].swapaxes(0, 1)
    weight_mb = jax.lax.stop_gradient(tuition.weigh(logits_mbc))
    temperature = tuition.temperature(batch["step"])
    target_bc = tuition.mix(logits_mbc, weight_mb, temperature)
    soft_b = targets.kl(target_bc, logits_bc, temperature)
    align_b = _aligned(tuition, projectors, feature_bi, batch)
    agreed_b = target_bc.argmax(axis=1) == logits_bc.argmax(axis=1)
    shown = {
        "soft": losses.mean(soft_b, weight_b),
        "align": losses.mean(align_b, weight_b),
        "agreement": losses.mean(agreed_b.astype(jnp.float32), weight_b),
        "temperature": jnp.asarray(temperature, jnp.float32),
    }
    return soft_b, align_b, shown | _weights_shown(tuition, weight_mb, weight_b)


def _aligned(tuition, projectors, feature_bi, batch):
    distances = [
        tuition.distance(
            Projector(width, tuition.inner)
            .apply({"params": projectors[name]}, feature_bi)
            .astype(jnp.float32),
            batch[name].astype(jnp.float32),
        )
        for name, width in tuition.layers.items()
    ]
    if not distances:
        return jnp.zeros(len(feature_bi), jnp.float32)
    return sum(distances) / len(distances)


def _weights_shown(tuition, weight_mb, weight_b):
    """Mean weight of every teacher, and how many examples gave it which weight."""
    shown: dict[str, Any] = {}
    for lesson, trust_b in zip(tuition.lessons, weight_mb, strict=True):
        shown[f"weight_{lesson.name}"] = losses.mean(trust_b, weight_b)
        place_b = jnp.minimum(jnp.int32(trust_b * BINS), BINS - 1)
        shown[f"weight_{lesson.name}_n"] = jnp.bincount(place_b, length=BINS)
    return shown
