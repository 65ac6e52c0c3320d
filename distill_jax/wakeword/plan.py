"""What is asked for, and the settings of the runs that it takes."""

import importlib.util
import math
import re
from pathlib import Path
from typing import NamedTuple

from distill_jax import settings, weights
from distill_jax.data import labelled, speech, speech_folder
from distill_jax.data.labelled import layouts

KINDS = ("wav2vec2_bert", "wav2vec2", "hubert", "wavlm")
STUDENTS = ("depthwise", "small", "standard")
# Steps of each run and fixed views of each clip: from recordings, and from text alone,
# where there is less to learn.
RECORDED = {"teachers": 1000, "student": 3000, "qat": 400, "views": 4}
SPOKEN = {"teachers": 300, "student": 1500, "qat": 200, "views": 4}
# Clips for every one of the word.
UNKNOWN, SILENCE = 2.0, 0.2
LONGEST = 0.95  # of the spoken words that fit in a window
EXTRAS = {
    "ai_edge_litert": "export",
    "flatbuffers": "export",
    "onnx": "export",
    "onnxruntime": "export",
}


class Plan(NamedTuple):
    """A wake word to be made.

    Attributes:
      text: the word or phrase.
      workdir: folder for everything that is made.
      data: recordings, a folder for every word or a table; None makes speech of text.
      noise: folder of background noise; None takes what is in `data`, else some is
        made.
      teachers: kinds out of `KINDS`, trained from nothing, or folders of encoders as
        transformers saves them; none trains on the labels alone.
      student: out of `STUDENTS`.
      clips: how many times the word is spoken without recordings; half as many near
        misses and as many other words go with it.
      per_hour: false accepts that the threshold is to allow.
      seed: int.
      changes: "RUN.NAME=VALUE" each, RUN out of teachers, student and qat.
    """

    text: str
    workdir: Path
    data: Path | None = None
    noise: Path | None = None
    teachers: tuple[str, ...] = ("wav2vec2_bert", "wav2vec2")
    student: str = "depthwise"
    clips: int = 1000
    per_hour: float = 0.5
    seed: int = 0
    changes: tuple[str, ...] = ()

    @property
    def label(self):
        """The word as a label."""
        return "_".join(re.findall(r"\w+", self.text.lower()))

    @property
    def root(self):
        """Where the recordings are, or will be."""
        return self.data or self.speech / "clips.jsonl"

    @property
    def speech(self):
        """Folder of the speech that is made."""
        return self.workdir / "speech"

    @property
    def makes_noise(self):
        """Whether there is no background noise but that which is made."""
        inside = None if self.data is None else self.data / layouts.BACKGROUND
        return self.noise is None and not (inside and inside.is_dir())

    def taught_by(self):
        """{name: folder of the run} of the teachers."""
        names = [Path(each).name if encoder(each) else each for each in self.teachers]
        return {name: self.workdir / "teachers" / name for name in names}


def encoder(teacher):
    """Whether a teacher is a folder with an encoder, and no kind."""
    return teacher not in KINDS


def check(plan):
    """Looks for everything that would stop the work later.

    Raises:
      ValueError: lists all that is wrong.
    """
    problems = [*_numbers(plan), *_places(plan), *_extras(plan)]
    try:
        for run in runs(plan):
            config(plan, run, 1.0)
    except (OSError, ValueError) as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n  ".join(["a wake word cannot be made so:", *problems]))


def _numbers(plan):
    taken = set(speech.LABELS.values()) | {labelled.UNKNOWN, labelled.SILENCE}
    if not plan.label or plan.label in taken:
        yield f"the word is {plan.text!r}, expected one to say, none of {sorted(taken)}"
    if plan.student not in STUDENTS:
        yield f"student is {plan.student!r}, expected one of {', '.join(STUDENTS)}"
    if plan.clips < 100:
        yield f"clips is {plan.clips}, expected 100 or more to learn from"
    if not 0 < plan.per_hour < math.inf:
        yield f"per_hour is {plan.per_hour}, expected more than 0"
    if plan.seed < 0:
        yield f"seed is {plan.seed}, expected 0 or more"
    if len(plan.taught_by()) < len(plan.teachers):
        yield f"two teachers have one name: {', '.join(plan.teachers)}"
    for text in plan.changes:
        if text.partition(".")[0] not in ("teachers", "student", "qat"):
            yield f"{text!r}: expected teachers.NAME=, student.NAME= or qat.NAME=VALUE"


def _places(plan):
    for teacher in plan.teachers:
        if encoder(teacher) and not (Path(teacher) / "config.json").is_file():
            yield (
                f"teacher {teacher!r}: expected one of {', '.join(KINDS)}, or a folder "
                "with config.json and weights"
            )
    if plan.noise is not None and not plan.noise.is_dir():
        yield f"{plan.noise} is no folder of background noise"
    if plan.data is None:
        return
    if not plan.data.exists():
        yield f"{plan.data} is missing; give recordings, or none to make speech of text"
    elif plan.data.is_dir() and not _folders(plan):
        there = sorted(each.name for each in plan.data.iterdir() if each.is_dir())
        yield f"there is no folder {plan.label} in {plan.data}, only {', '.join(there)}"


def _folders(plan):
    return (plan.data / plan.label).is_dir()


def _extras(plan):
    wanted = EXTRAS if plan.data else {**EXTRAS, "espeakng_loader": "tts"}
    missing = {
        extra
        for package, extra in wanted.items()
        if importlib.util.find_spec(package) is None
    }
    for extra in sorted(missing):
        yield f"something is not installed: pip install 'distill_jax[{extra}]'"


def runs(plan):
    """The training runs in their order, {name: folder}."""
    return {
        **plan.taught_by(),
        "student": plan.workdir / "student",
        "qat": plan.workdir / "qat",
    }


def config(plan, run, window_seconds):
    """The settings of a training run.

    Args:
      plan: `Plan`.
      run: out of `runs`.
      window_seconds: length of a window.

    Returns:
      A `ConfigDict`, all but its labels.

    Raises:
      ValueError: a change names no setting or has a value of another type.
    """
    made = {"student": _student, "qat": _qat}.get(run, _teacher)
    group = run if run in ("student", "qat") else "teachers"
    mine = [text for text in plan.changes if text.startswith(f"{group}.")]
    name, changes = made(plan, run)
    steps = (SPOKEN if plan.data is None else RECORDED)[group]
    changes = {**changes, "seed": plan.seed, "steps": steps}
    if run != "qat":
        changes |= heard(plan, window_seconds)
    found = settings.read(name)
    found.update_from_flattened_dict(changes)
    return settings.changed(found, [text.partition(".")[2] for text in mine])


def heard(plan, window_seconds):
    """What is listened to, alike for teachers and student."""
    noise = plan.workdir / "noise" if plan.makes_noise else plan.noise or ""
    return {
        "data.root": str(plan.root),
        "data.noise": str(noise),
        "data.words": (plan.label,),
        "data.unknown": UNKNOWN,
        "data.silence": SILENCE,
        "data.window_seconds": window_seconds,
    }


def _teacher(plan, run):
    (chosen,) = [each for each in plan.teachers if run in (each, Path(each).name)]
    if not encoder(chosen):
        return f"configs/teacher.py:{chosen},stand_in", {}
    kind = weights.read_config(Path(chosen))["model_type"].replace("-", "_")
    return f"configs/teacher.py:{kind}", {"teacher.folder": chosen}


def _student(plan, run):
    del run
    variant = "" if plan.student == "standard" else f",{plan.student}"
    if not plan.teachers:
        return f"configs/distill.py:none{variant}", {}
    views = (SPOKEN if plan.data is None else RECORDED)["views"]
    taught = {
        "teachers": tuple(map(str, plan.taught_by().values())),
        "teacher_alignment_layers": ("middle",) * len(plan.teachers),
        "distill.views": views,
    }
    return f"configs/distill.py:dual{variant}", taught


def _qat(plan, run):
    del run
    return "configs/qat.py", {"student": str(plan.workdir / "student")}


def window_seconds(plan):
    """Length of a window: a second, or more where the spoken phrase is longer."""
    if plan.data is not None:
        return 1.0
    lines = speech_folder.read(plan.speech).values()
    lasting = sorted(
        line["end"] - line["start"] for line in lines if line["label"] == plan.label
    )
    longest = lasting[int(LONGEST * (len(lasting) - 1))]
    return max(1.0, math.ceil(10 * longest) / 10)
