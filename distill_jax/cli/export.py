"""What the verbs on integer networks do."""

import contextlib

from distill_jax import checkpoints, export, folders, quantised, train
from distill_jax import ledger as costs
from distill_jax.cli.usage import UsageError, require, told
from distill_jax.export import checking, runtimes
from distill_jax.quant import integer
from distill_jax.word_report import network

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError)


def write(options):
    """Writes the files, runs them on the test clips and tells whether they agree."""
    forms = [each.strip() for each in options.format.split(",") if each.strip()]
    unknown = sorted(set(forms) - set(export.FORMATS))
    require(
        forms and not unknown,
        f"--format {options.format!r}: expected some of {', '.join(export.FORMATS)}, "
        "separated by commas",
    )
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        found = quantised.load(options.workdir, options.data, options.bits)
        clips = quantised.test_clips(found.trained)
    card = card_of(options.workdir, found)
    out = options.out or options.workdir / "export"
    with extra(), told(OSError):
        paths = export.write(out, found.model, card, forms)
    print(f"{card.description}; {integer.parameters(found.model)} weights")
    for path in paths.values():
        print(f"{path}: {path.stat().st_size:,} bytes")
    return judged(found, clips, paths)


def judged(found, clips, paths):
    """Runs files on clips and tells how far they are from the reference.

    Args:
      found: `Quantised`.
      clips: `quantised.Clips`.
      paths: {format: path}.

    Returns:
      1 if a file gives other codes than the reference, else 0.
    """
    whole = {form: path.read_bytes() for form, path in paths.items()}
    outcomes, missing = checking.outcomes(
        found.model, found.codes(clips.audio_bs), whole
    )
    for each in outcomes:
        right = (each.code_bc.argmax(axis=1) == clips.label_b).mean()
        agrees = (
            "all as specified"
            if each.wrong == 0
            else f"{each.wrong} NOT as specified, by up to {each.largest}"
        )
        print(
            f"{each.runtime} {each.version}: {each.code_bc.size} logits of "
            f"{len(clips.label_b)} test clips, {agrees}; {right:.1%} right"
        )
    for reason in missing:
        print(f"not run there: {reason}")
    if "tflite" in whole and not any("tflite_micro" in reason for reason in missing):
        print(f"TFLite Micro's arena: {runtimes.arena(whole['tflite']):,} bytes")
    return int(any(each.wrong for each in outcomes))


def card_of(workdir, found):
    """The `Card` of a run, with the threshold that `evaluate` chose, if it did."""
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


def ledger(options):
    """Writes the table of what quantisation costs; its lines as they are found."""
    train.cache_compilations(folders.cache("xla"))
    print(" | ".join(costs.HEADER))
    found = []
    with extra(), told(*PROBLEMS):
        for row in costs.rows(options.workdir, options.control, options.data):
            found.append(row)
            print(" | ".join(costs.table([row])[0]), flush=True)
        page = costs.write(options.workdir, found)
    print(f"Look: {page}")


@contextlib.contextmanager
def extra():
    """Around what needs the extra with the writers and runtimes."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is missing: pip install 'distill_jax[export]'"
        ) from error


VERBS = {"Export": write, "Ledger": ledger}
