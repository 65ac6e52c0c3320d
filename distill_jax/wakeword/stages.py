"""What is done one after the other, each stage resumable by itself."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from distill_jax import (
    delivery,
    export,
    jobs,
    ledger,
    quantised,
    teacher_report,
    word_report,
)
from distill_jax.data import noises, speech
from distill_jax.quant import integer
from distill_jax.tasks import caching
from distill_jax.wakeword import page, spoken
from distill_jax.wakeword import plan as plans
from distill_jax.word_report import network, opening


class Stage(NamedTuple):
    """A part of the work.

    Attributes:
      name: in the record.
      title: what is done, in a few words.
      run: () -> generator of (step, steps, values); returns its figures, JSON values.
      page: report of it, to be read, beside the page of all; or "".
    """

    name: str
    title: str
    run: Callable
    page: str = ""


def of(plan):
    """The stages of a plan, in their order."""
    found = []
    if plan.data is None:
        found.append(Stage("speech", "speaking", partial(spoken.make, plan)))
    if plan.makes_noise:
        found.append(Stage("noise", "making noise", partial(_noise, plan)))
    for name, folder in plan.taught_by().items():
        look = f"teachers/{folder.name}/report/index.html"
        run = partial(_teacher, plan, name)
        found.append(Stage(f"teacher {name}", f"teaching {name}", run, look))
    if plan.teachers:
        found.append(Stage("answers", "asking the teachers", partial(_answers, plan)))
    return [
        *found,
        Stage("student", "training the student", partial(_run, plan, "student")),
        Stage("qat", "training as integers", partial(_run, plan, "qat")),
        Stage(
            "listening",
            "listening to long sound",
            partial(_listening, plan),
            page.LISTENING,
        ),
        Stage("files", "writing INT8 files", partial(_files, plan)),
        Stage(
            "costs",
            "what INT8 costs",
            partial(_costs, plan),
            page.LEDGER,
        ),
    ]


def _noise(plan):
    yield 0, 1, {}
    noises.write(plan.workdir / "noise", speech.RATE_HZ, plan.seed)
    return {"kinds": list(noises.COLOURS), "ways": list(noises.WAYS)}


def _config(plan, run):
    return plans.config(plan, run, plans.window_seconds(plan))


def _run(plan, run):
    """Trains; returns the last values that were held out."""
    config, values = _config(plan, run), {}
    for step, values in jobs.steps(config, plans.runs(plan)[run]):
        yield step, config.steps, values
    return {"steps": config.steps}


def _teacher(plan, run):
    figures = yield from _run(plan, run)
    return figures | teacher_report.write(plans.runs(plan)[run])["accuracy"]


def _answers(plan):
    yield 0, 1, {}
    config = _config(plan, "student")
    _, kept = caching.taught_views(config, caching.sides(config))
    return {"views": kept.rows, "bytes": kept.bytes}


def _listening(plan):
    yield 0, 1, {}
    listening = word_report.Listening(per_hour=plan.per_hour, seed=plan.seed)
    run = plan.workdir / "qat"
    sounds = opening.Sounds(run)
    known = network.load(run)
    job = opening.load(known, plan.label, listening, sounds)
    figures = word_report.write(job)
    names = "threshold", "validation_hours", "streaming", "clips"
    kept = {name: figures[name] for name in names}
    if plan.data is None:
        kept["near_misses"] = spoken.near_misses(plan, known, figures["threshold"])
    return kept


def _files(plan):
    """The files as they are specified, with the threshold, held against runtimes."""
    yield 0, 1, {}
    found = quantised.load(plan.workdir / "qat")
    clips = quantised.test_clips(found.trained)
    card = delivery.card(plan.workdir / "qat", found)
    card = card._replace(name=plan.label)
    paths = export.write(plan.workdir / page.FILES, found.model, card, export.FORMATS)
    checked = delivery.check(found, clips, paths)
    if not checked.good:
        raise RuntimeError(
            "\n".join(
                [
                    "a runtime does not give what the integer reference does; keep to "
                    "the releases that setup.py names, and report this:",
                    *delivery.lines(checked, clips),
                ]
            )
        )
    return {
        "weights": integer.parameters(found.model),
        "files": {form: path.name for form, path in paths.items()},
        "sha256": {
            form: hashlib.sha256(path.read_bytes()).hexdigest()
            for form, path in paths.items()
        },
        "bytes": {form: path.stat().st_size for form, path in paths.items()},
        "checked": list(delivery.lines(checked, clips)),
        "arena": checked.arena,
        "right": checked.right,
    }


def _costs(plan):
    yield 0, 1, {}
    workdir = plan.workdir / "qat"
    found = list(ledger.rows(workdir))
    ledger.write(workdir, found)
    return {"header": list(ledger.HEADER), "rows": ledger.table(found)}
