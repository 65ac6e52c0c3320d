"""What several teachers say about the same audio, as fields of a batch."""

from typing import NamedTuple

import jax.numpy as jnp

from distill_jax.audio import kaldi, normalise
from distill_jax.distillation import alignment
from distill_jax.models.heads import ClassifierHead
from distill_jax.teachers.hearing import outputs

LOGITS = "teacher_logits_bmc"


class Lesson(NamedTuple):
    """What is asked of one teacher: everything but its weights.

    Attributes:
      name: of the teacher.
      module: its network.
      form: what its encoder takes.
      temperature: its logits are divided by it.
      layers: numbers of the hidden layers that the student is aligned with.
    """

    name: str
    module: ClassifierHead
    form: kaldi.Filterbank | normalise.Waveform
    temperature: float
    layers: tuple[int, ...]


def lessons(teachers, asked):
    """What is asked of each teacher.

    Args:
      teachers: list of `Teacher`.
      asked: for each of them its layers, see `alignment.layers`.

    Returns:
      Tuple of `Lesson`.

    Raises:
      ValueError: there is not one text for each teacher, two of them have one name,
        or a teacher has no such layer.
    """
    names = [teacher.name for teacher in teachers]
    if len(set(names)) < len(names):
        raise ValueError(
            f"the teachers' folders are called {', '.join(names)}; give them different "
            "names, which are those of their curves"
        )
    if len(asked) not in (0, len(teachers)):
        raise ValueError(
            f"teacher_alignment_layers has {len(asked)} entries for {len(teachers)} "
            "teachers; give one for each, '' for none"
        )
    return tuple(
        Lesson(
            teacher.name,
            teacher.module,
            teacher.form,
            teacher.temperature,
            alignment.layers(text, teacher.module.encoder.count, teacher.name),
        )
        for teacher, text in zip(teachers, asked or [""] * len(teachers), strict=True)
    )


def aligned(lessons):
    """The aligned layers by the name of their field, {name: width}."""
    return {
        f"teacher_{number}_layer_{layer}": lesson.module.encoder.width
        for number, lesson in enumerate(lessons)
        for layer in lesson.layers
    }


def taught(lessons, variables, audio_bs, rows):
    """What the teachers say.

    Args:
      lessons: tuple of `Lesson`.
      variables: of each teacher.
      audio_bs: as the student hears it, [b, s].
      rows: time steps of the student, 0 to align means over the window.

    Returns:
      `teacher_logits_bmc`, [batch, teachers, classes], calibrated, and for every
      aligned layer `alignment.target` of it under its name of `aligned`.
    """
    fields, logits = {}, []
    for number, (lesson, weights) in enumerate(zip(lessons, variables, strict=True)):
        logits_bc, out = outputs(lesson.module, lesson.form, weights, audio_bs)
        logits.append(logits_bc / lesson.temperature)
        for layer in lesson.layers:
            hidden_btd = out["hidden_nbtd"][layer]
            name = f"teacher_{number}_layer_{layer}"
            fields[name] = alignment.target(hidden_btd, rows)
    return {LOGITS: jnp.stack(logits, axis=1), **fields}
