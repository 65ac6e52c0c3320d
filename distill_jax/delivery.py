"""A run in integers as files, and what runtimes make of them."""

import json
from pathlib import Path
from typing import NamedTuple

from distill_jax import export, word_report
from distill_jax.export import checking, runtimes


class Checked(NamedTuple):
    """Files on test clips.

    Attributes:
      outcomes: [`checking.Outcome`], a runtime each.
      missing: why others are not among them, strings.
      right: {name of a runtime: share of the clips it is right about}.
      arena: bytes of memory that TFLite Micro takes; None where it is not installed.
    """

    outcomes: list
    missing: list
    right: dict
    arena: int | None

    @property
    def good(self):
        """Whether every code is as specified."""
        return not any(each.wrong for each in self.outcomes)


def card(workdir, found):
    """The `Card` of a run, with the threshold that `evaluate` chose, if it did.

    Args:
      workdir: folder of the run.
      found: `quantised.Quantised` of it.
    """
    workdir, threshold = Path(workdir), None
    path = workdir / "report" / word_report.FILE
    if path.is_file():
        figures = json.loads(path.read_text(encoding="utf-8"))
        if figures.get("threshold") is not None:
            names = "word", "threshold", "listening"
            threshold = {name: figures[name] for name in names}
    trained = found.trained
    return export.Card(
        workdir.resolve().name,
        int(trained.step),
        trained.labels,
        trained.front,
        trained.samples,
        found.bits,
        threshold,
    )


def check(found, clips, paths):
    """Runs files on clips wherever there is a runtime for them.

    Args:
      found: `quantised.Quantised`, what they should be.
      clips: `quantised.Clips`.
      paths: {format: path}, as `export.write` gives them.

    Returns:
      `Checked`.

    Raises:
      ValueError: the .npz file does not come back as the same network.
    """
    whole = {form: path.read_bytes() for form, path in paths.items()}
    code_btf = found.codes(clips.audio_bs)
    outcomes, missing = checking.outcomes(found.model, code_btf, whole)
    right = {
        each.runtime: float((each.code_bc.argmax(axis=1) == clips.label_b).mean())
        for each in outcomes
    }
    micro = "tflite" in whole and not any("tflite_micro" in why for why in missing)
    arena = runtimes.arena(whole["tflite"]) if micro else None
    return Checked(outcomes, missing, right, arena)


def lines(checked, clips):
    """What was found, as lines of text."""
    for each in checked.outcomes:
        agrees = (
            "all as specified"
            if each.wrong == 0
            else f"{each.wrong} NOT as specified, by up to {each.largest}"
        )
        yield (
            f"{each.runtime} {each.version}: {each.code_bc.size} logits of "
            f"{len(clips.label_b)} test clips, {agrees}; "
            f"{checked.right[each.runtime]:.1%} right"
        )
    for reason in checked.missing:
        yield f"not run there: {reason}"
    if checked.arena is not None:
        yield f"TFLite Micro's arena: {checked.arena:,} bytes"
