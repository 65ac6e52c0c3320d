"""A run in integers as files, and what runtimes make of them."""

from typing import NamedTuple

from distill_jax import export
from distill_jax.export import checking, runtimes
from distill_jax.word_report import network


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
    trained, threshold = found.trained, network.chosen(workdir)
    if threshold and threshold["threshold"] is None:
        threshold = None
    return export.Card(
        trained.name,
        trained.step,
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
