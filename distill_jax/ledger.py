"""What quantisation costs: one table of a network from float to the files that run."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

import distill_jax
from distill_jax import (
    checkpoints,
    detection,
    export,
    quant,
    quantised,
    report,
    student,
)
from distill_jax.export import checking
from distill_jax.quant.codes import HIGHEST, LOWEST

log = logging.getLogger(__name__)

FILE = "ledger.json"
CLEAN, NOISY = "clean", "0 dB"
HEADER = (
    "network",
    "clean, % right",
    "0 dB, % right",
    "logits that differ",
    "by at most, LSB",
    "codes at an end, %",
)


class Row(NamedTuple):
    """One way to run a network, on test clips.

    Attributes:
      name: what and where.
      right: {condition: right answers}.
      clips: of how many, in each condition.
      wrong: logits that differ from the reference, in all conditions; None in float
        and of the reference itself.
      largest: by so many codes.
      saturated: share of all activations that are at an end of their range.
    """

    name: str
    right: dict[str, int]
    clips: int
    wrong: int | None = None
    largest: int | None = None
    saturated: float | None = None


def announce(workdir):
    """Tells how to judge a run that is finished."""
    config = checkpoints.read_config(workdir)
    if not config.quantise:
        log.info("trained without rounding, as the control of a run that has it")
        return
    log.info(
        "trained as %d-bit integers; judge a word in them: distill-jax evaluate "
        "--workdir %s --word WORD; see what they cost, beside a run of "
        "configs/qat.py:float: distill-jax ledger --workdir %s --control FOLDER; write "
        "files: distill-jax export --workdir %s",
        config.bits,
        workdir,
        workdir,
        workdir,
    )


def rows(workdir, control=None, data=None):
    """Judges a run of quantisation-aware training beside what it came from.

    Args:
      workdir: folder of the run.
      control: folder of a run of the same steps without rounding, or None.
      data: where the labelled recordings are now, or None.

    Yields:
      `Row`, one after the other: each takes seconds.

    Raises:
      ValueError: a run is of another kind than it should be; or see `quantised.load`.
    """
    config = checkpoints.read_config(workdir)
    if config.task != "qat" or not config.quantise:
        raise ValueError(
            f"{workdir} is not a run of configs/qat.py with rounding; give one as "
            "--workdir and the one without as --control"
        )
    found = quantised.load(workdir, data)
    clips = quantised.test_clips(found.trained)
    heard = {CLEAN: clips.audio_bs}
    if clips.noise_bs is not None:
        heard[NOISY] = clips.heard(0.0)
    sounds = heard, clips.label_b
    start = quantised.at(
        quantised.opened(config.student), found.trained.config.data.root
    )
    yield _float("float", start, sounds)
    calibrated = quantised.calibrated(start)
    yield _integers("float: post-training INT8", calibrated, sounds)
    coarse = quantised.of_variables(start, calibrated.variables, 4)
    yield _integers("float: post-training, 4-bit weights", coarse, sounds)
    if control is not None:
        other = quantised.at(quantised.opened(control), found.trained.config.data.root)
        _same_steps(found.trained, other, control)
        name = "float, same extra steps"
        yield _float(name, other, sounds)
        other = quantised.calibrated(other)
        yield _integers(f"{name}: post-training INT8", other, sounds)
    yield from _everywhere(found, sounds)


def _same_steps(trained, control, folder):
    names = "student", "steps", "batch", "learning_rate", "seed"
    mine, other = trained.config, control.config
    different = [
        f"{name} {other.get(name)} there, {mine.get(name)} here"
        for name in names
        if mine.get(name) != other.get(name)
    ]
    if different or other.get("quantise", True):
        raise ValueError(
            f"{folder} is not the control of this run ({'; '.join(different)}); train "
            "one with configs/qat.py:float and the same flags"
        )


def _float(name, trained, sounds):
    heard, label_b = sounds
    right = {
        condition: _right(student.scores(trained, audio_bs), label_b)
        for condition, audio_bs in heard.items()
    }
    return Row(name, right, len(label_b))


def _integers(name, found, sounds):
    """A row of the reference itself."""
    heard, label_b = sounds
    right, ends = {}, []
    for condition, audio_bs in heard.items():
        code_bc, out = quant.reference.run(found.model, found.codes(audio_bs))
        right[condition] = _right(code_bc, label_b)
        ends.append(_saturated(found.model, out))
    return Row(name, right, len(label_b), saturated=float(np.mean(ends)))


def _everywhere(found, sounds):
    """Rows of the trained network: simulated, specified, and in every runtime."""
    heard, label_b = sounds
    name = f"trained as {found.bits}-bit weights"
    specified = _integers(f"{name}: integer reference", found, sounds)
    code_of = {c: found.codes(audio_bs) for c, audio_bs in heard.items()}
    simulated = {
        condition: _simulated(found, audio_bs) for condition, audio_bs in heard.items()
    }
    yield _compared(f"{name}: simulation", simulated, (found, code_of), label_b)
    yield specified
    other = {
        condition: quant.reference.run(found.model, code_btf, "tflm")[0]
        for condition, code_btf in code_of.items()
    }
    title = "integer reference, TFLite Micro's rounding against XNNPACK's"
    yield _compared(f"{name}: {title}", other, (found, code_of), label_b)
    yield from _runtimes(found, code_of, label_b, name)


def _runtimes(found, code_of, label_b, name):
    trained = found.trained
    card = export.Card(
        name, trained.step, trained.labels, trained.front, trained.samples
    )
    whole = {
        form: export.content(form, found.model, card) for form in ("tflite", "onnx")
    }
    seen = {}
    for condition, code_btf in code_of.items():
        outcomes, missing = checking.outcomes(found.model, code_btf, whole)
        for each in outcomes:
            seen.setdefault((each.runtime, each.version), {})[condition] = each
    for reason in missing:
        log.warning("a row is missing: %s", reason)
    for (runtime, version), each_of in seen.items():
        right = {c: _right(each.code_bc, label_b) for c, each in each_of.items()}
        wrong = sum(each.wrong for each in each_of.values())
        largest = max(each.largest for each in each_of.values())
        yield Row(f"{name}: {runtime} {version}", right, len(label_b), wrong, largest)


def _simulated(found, audio_bs):
    """Int8 logits of the graph that was trained."""
    feature_btf = student.features(found.trained, audio_bs)
    return quant.encode(quantised.simulated(found)(feature_btf), found.model.logits)


def _compared(name, code_of, against, label_b):
    """A row of codes against the reference with XNNPACK's rounding."""
    found, feature_of = against
    apart = {
        condition: np.abs(
            code_bc.astype(int)
            - quant.reference.run(found.model, feature_of[condition])[0]
        )
        for condition, code_bc in code_of.items()
    }
    right = {
        condition: _right(code_bc, label_b) for condition, code_bc in code_of.items()
    }
    wrong = int(sum(np.sum(each > 0) for each in apart.values()))
    return Row(name, right, len(label_b), wrong, max(map(np.max, apart.values())))


def _right(score_bc, label_b):
    return int(np.sum(score_bc.argmax(axis=1) == label_b))


def _saturated(model, out):
    """Share of codes at an end of their range.

    The least of a ReLU is not one, nor the floor of the features.
    """
    zero_of = {"logits": model.logits.zero}
    for number, conv in enumerate(model.convs):
        if conv.branch is not None:
            zero_of[f"branch_{number}"] = conv.branch.zero
    ends, total = 0, 0
    for name, code in out.items():
        ends += np.sum(code == HIGHEST)
        if zero_of.get(name, LOWEST) > LOWEST:
            ends += np.sum(code == LOWEST)
        total += code.size
    return ends / total


def write(workdir, found):
    """Writes the table as a page and as JSON.

    Args:
      workdir: folder of the run.
      found: list of `Row`.

    Returns:
      Path of the page.
    """
    folder = Path(workdir) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    report.figures(folder / FILE, {"rows": [row._asdict() for row in found]})
    low, high = detection.wilson(found[0].right[CLEAN], found[0].clips)
    said = (
        f"{found[0].clips} test clips, without noise and with as loud a noise (0 dB). "
        f"The 95 % interval of the first figure is {low:.1%} to {high:.1%}: read no "
        "order into smaller differences. Logits of runtimes are compared with the "
        f"integer reference under their own rounding. distill_jax "
        f"{distill_jax.__version__}."
    )
    section = report.Section(
        "Float to files", [said, report.Table(list(HEADER), table(found))]
    )
    page = folder / "ledger.html"
    report.page(page, f"What INT8 costs: {Path(workdir).resolve().name}", [section])
    return page


def table(found):
    """The cells of the table, strings."""
    return [
        [
            row.name,
            *(_percent(row, condition) for condition in (CLEAN, NOISY)),
            "" if row.wrong is None else str(row.wrong),
            "" if row.largest is None else str(row.largest),
            "" if row.saturated is None else f"{100 * row.saturated:.3f}",
        ]
        for row in found
    ]


def _percent(row, condition):
    if condition not in row.right:
        return ""
    return f"{100 * row.right[condition] / row.clips:.1f}"
