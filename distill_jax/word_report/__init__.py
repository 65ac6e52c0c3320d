"""How well a wake word is heard, as a page to look at and to listen to."""

import logging

from distill_jax import checkpoints, report
from distill_jax.word_report import clips, errors, streams, training
from distill_jax.word_report.job import FILE, Job, Listening, Side
from distill_jax.word_report.listening import scenes_of, timelines

CHAPTERS = (
    streams.operation,
    streams.trade_off,
    clips.accuracy,
    errors.to_hear,
    training.history,
)

__all__ = ["FILE", "Job", "Listening", "Side", "announce", "write"]

log = logging.getLogger(__name__)


def announce(workdir):
    """Tells how to judge a run that is finished: the word has to be chosen."""
    labels = ", ".join(checkpoints.read_config(workdir).labels)
    log.info(
        "trained to tell apart %s; judge a word, with a report to hear: "
        "distill-jax evaluate --workdir %s --word WORD",
        labels,
        workdir,
    )


def write(job):
    """Writes a page, pictures, sounds and all figures as JSON into a folder.

    Args:
      job: a `Job`.

    Returns:
      The figures of `report.json`: of each chapter, by its name.

    Raises:
      ValueError: a side has no clip of the word, or noise is needed and missing.
    """
    (job.folder / "audio").mkdir(parents=True, exist_ok=True)
    scenes = scenes_of(job)
    heard = timelines(job, scenes)
    done = [chapter(job, scenes["test"], heard) for chapter in CHAPTERS]
    figures = {
        "word": job.labels[job.word],
        "arithmetic": job.arithmetic,
        "listening": job.listening._asdict(),
    }
    for chapter_figures, _ in done:
        figures |= chapter_figures
    report.figures(job.folder / FILE, figures)
    title = f"Wake word {job.labels[job.word]!r}: {job.name}"
    report.page(job.folder / "index.html", title, [section for _, section in done])
    return figures
