"""Wake words: from what a form holds to a plan, and back from a folder."""

import json
from pathlib import Path
from typing import NamedTuple

from distill_jax import wakeword, workdir
from distill_jax.app import places
from distill_jax.wakeword import plan as plans

WEIGHTINGS = ("entropy", "inverse_entropy", "uniform")
STEPS = ("teachers", "student", "qat")
# Settings that name places; no change may move them.
PLACES = (
    *("data.root", "data.noise", "data.cache", "distill.cache"),
    *("teacher.folder", "teachers", "student"),
)


class Form(NamedTuple):
    """What the page asks for.

    Attributes:
      text: the word.
      name: of the run; "" is made of the word.
      data: folder or table in the root; "" speaks the word.
      noise: folder in the root; "" takes what is in data.
      kinds: of teachers that are trained from nothing.
      encoders: folders of encoders in the root, separated by commas.
      student: out of `wakeword.STUDENTS`.
      layers: alignment layers, one for all teachers or one each behind semicolons; ""
        leaves what is usual.
      weighting: out of `WEIGHTINGS`.
      steps: {run: number, 0 for what is usual}.
      clips: how often the word is spoken without recordings.
      per_hour: false accepts.
      seed: int.
      changes: lines of RUN.NAME=VALUE.
    """

    text: str
    name: str = ""
    data: str = ""
    noise: str = ""
    kinds: tuple[str, ...] = ()
    encoders: str = ""
    student: str = "depthwise"
    layers: str = ""
    weighting: str = "entropy"
    steps: dict = {}  # noqa: RUF012 - never written to
    clips: int = 1000
    per_hour: float = 0.5
    seed: int = 0
    changes: str = ""


def plan(root, form):
    """The plan of a form, checked.

    Args:
      root: work directory.
      form: `Form`.

    Returns:
      `wakeword.Plan`.

    Raises:
      ValueError: lists what is wrong; see `wakeword.check`, or a path is outside.
    """
    encoders = [each.strip() for each in form.encoders.split(",") if each.strip()]
    found = wakeword.Plan(
        " ".join(str(form.text or "").split()),
        Path(),
        data=places.recordings(root, form.data) if form.data else None,
        noise=places.recordings(root, form.noise) if form.noise else None,
        teachers=(
            *form.kinds,
            *(str(places.recordings(root, each)) for each in encoders),
        ),
        student=form.student,
        clips=int(form.clips),
        per_hour=float(form.per_hour),
        seed=int(form.seed),
    )
    name = form.name or found.label
    found = found._replace(workdir=places.named(root, name) if name else Path(root))
    changes = (*_chosen(form, found), *_lines(form.changes))
    return checked(root, found._replace(changes=tuple(changes)))


def checked(root, found):
    """A plan that neither reads nor writes outside of the root.

    Raises:
      ValueError: see `wakeword.check`; or a path of it is outside.
    """
    here = [found.workdir, found.data, found.noise]
    here += [each for each in found.teachers if plans.encoder(each)]
    for path in filter(None, here):
        places.inside(root, path)
    wakeword.check(found)
    plain = found._replace(changes=())
    for run in plans.runs(found):
        moved, unmoved = (_places(each, run) for each in (found, plain))
        if moved != unmoved:
            names = [name for name in moved if moved[name] != unmoved[name]]
            raise ValueError(
                f"{', '.join(names)} cannot be changed here; give data and noise in "
                "their own fields"
            )
    return found


def _places(found, run):
    config = plans.config(found, run, 1.0)
    flat = {}
    for name in PLACES:
        value = config
        for key in name.split("."):
            value = value.get(key) if hasattr(value, "get") else None
        flat[name] = str(value)
    return flat


def _chosen(form, found):
    """The changes that have a field of their own."""
    if found.teachers:
        if form.layers.strip():
            yield f"student.teacher_alignment_layers={_layers(form, found)!r}"
        if form.weighting != WEIGHTINGS[0]:
            yield f"student.distill.weighting={form.weighting!r}"
    for run in STEPS:
        steps = form.steps.get(run)
        if steps and (run != "teachers" or found.teachers):
            if steps < 1:
                raise ValueError(f"{run}: {steps} steps, expected 1 or more")
            yield f"{run}.steps={int(steps)}"


def _layers(form, found):
    each = tuple(part.strip() for part in form.layers.split(";"))
    if len(each) == 1:
        each *= len(found.teachers)
    if len(each) != len(found.teachers):
        raise ValueError(
            f"{len(each)} alignment layers for {len(found.teachers)} teachers; give "
            "one for all, or one each with ; between them"
        )
    return each


def _lines(text):
    return [line.strip() for line in str(text or "").splitlines() if line.strip()]


def known(root):
    """Folders in the root in which a wake word was begun."""
    return places.folders(root, is_word)


def is_word(folder):
    """Whether a folder is that of a wake word."""
    path = folder / workdir.SETTINGS
    return path.is_file() and _keys() <= _json(path).keys()


def _keys():
    """What the settings of a wake word hold."""
    return set(wakeword.Plan._fields) - {"workdir"}


def reopened(root, text):
    """The plan with which a folder was begun, checked, to go on with it.

    Raises:
      ValueError: it is no wake word, or uses what is outside of the root.
    """
    return checked(root, read(root, text))


def read(root, text):
    """The plan with which a folder was begun.

    Raises:
      ValueError: it is no wake word.
    """
    folder = places.inside(root, text)
    if not is_word(folder):
        raise ValueError(f"{text!r} is not the folder of a wake word")
    values = _json(folder / workdir.SETTINGS)
    values = {name: values[name] for name in _keys()}
    values |= {n: Path(values[n]) if values[n] else None for n in ("data", "noise")}
    values |= {name: tuple(values[name]) for name in ("teachers", "changes")}
    return wakeword.Plan(workdir=folder, **values)


def _json(path):
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
