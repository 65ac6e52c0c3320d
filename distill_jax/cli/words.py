"""What the verb on wake words does that judges them."""

import math

from distill_jax import checkpoints, exported, folders, train, word_report
from distill_jax.cli.usage import require, told
from distill_jax.export import threshold
from distill_jax.export.runtimes import MissingRuntimeError
from distill_jax.word_report import network, opening
from distill_jax.word_report.listening import outcome_line

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError, MissingRuntimeError)


def evaluate(options):
    """Judges a network on recordings it was not trained on and writes the report."""
    require(
        0 < options.per_hour < math.inf,
        f"--per-hour is {options.per_hour}, expected more than 0",
    )
    require(options.smooth > 0, f"--smooth is {options.smooth}, expected at least 1")
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        job = job_of(options)
        print(f"judging {job.name}, computed with {job.arithmetic}", flush=True)
        figures = word_report.write(job)
    print(f"\n{figures['word']!r}, threshold {figures['threshold']:.7g}")
    for name, each in figures["streaming"].items():
        print(f"{name:>7}: {outcome_line(each)}")
    if options.model is not None:
        with told(*PROBLEMS):
            keep(options.model, figures)
    print(f"Look and listen: {job.folder / 'index.html'}")


def job_of(options):
    """The `Job` of a run, or of an exported file on the recordings of a run."""
    listening = word_report.Listening(
        options.step_seconds,
        options.smooth,
        options.per_hour,
        options.snr_db,
        options.seed,
    )
    sounds = opening.Sounds(options.workdir, options.data, options.noise)
    if options.model is None:
        known = network.load(options.workdir)
        return opening.load(known, options.word, listening, sounds)
    known = exported.load(options.model)
    job = opening.load(known, options.word, listening, sounds)
    return job._replace(folder=exported.report_folder(options.model))


def keep(path, figures):
    """Writes the threshold that was found for a file into what was exported with it."""
    if not math.isfinite(figures["threshold"]):
        print(f"no threshold has so few false accepts: {path} keeps the one it had")
        return
    kept = threshold.keep(path, network.of_figures(figures))
    print(f"detect --model {path} listens with this threshold from now on")
    print(f"written for {', '.join(each.name for each in kept)}")


VERBS = {"Evaluate": evaluate}
