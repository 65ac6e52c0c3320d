"""What every chapter of the report reads."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax import report, sound
from distill_jax.sound_report import baselines
from distill_jax.tasks import vae

# Windows. To invert one takes a core about 0.1 s; the page says how many there are.
MOST_TRAIN, MOST_HELD = 2000, 64


class Job(NamedTuple):
    """A trained model and the sounds it is judged by.

    Attributes:
      workdir: folder of the run.
      model: the trained model.
      sources: `pipeline.Source` of the training and of the held-out files.
      names: the names of those files, a list each.
      train: windows of the first.
      held: windows of the second, those of silence left out.
      mean_nz: posterior means of the training windows.
      log_var_nz: their log-variances.
    """

    workdir: Path
    model: sound.Sound
    sources: list
    names: list
    train: baselines.Windows
    held: baselines.Windows
    mean_nz: np.ndarray
    log_var_nz: np.ndarray

    @property
    def folder(self):
        """Where the report goes."""
        return self.workdir / "report"


class Chapter(NamedTuple):
    """A part of the report.

    Attributes:
      figures: for `report.json`.
      section: for the page.
    """

    figures: dict
    section: report.Section


def load(workdir):
    """Opens a run and reads the sounds it was trained and is judged on.

    Writes the posterior of the training windows to `sound.LATENTS`.

    Args:
      workdir: the folder of the run.

    Returns:
      A `Job`.
    """
    model, workdir = sound.load(workdir), Path(workdir)
    config, spec = model.config, model.spec
    sides = vae.clips(config)
    sources = vae.sources(config, sides)
    names = [[clip.name for clip in side] for side in sides]
    train, held = (
        baselines.sample(source, most, config.seed, spec)
        for source, most in zip(sources, (MOST_TRAIN, 4 * MOST_HELD), strict=True)
    )
    held = baselines.audible(held, MOST_HELD)
    posterior = model.encode(train.audio_ns)
    job = Job(workdir, model, sources, names, train, held, *posterior)
    (job.folder / "audio").mkdir(parents=True, exist_ok=True)
    np.savez(
        workdir / sound.LATENTS,
        mean_nz=job.mean_nz,
        log_var_nz=job.log_var_nz,
        step=model.step,
        **cut_from(job, 0),
    )
    return job


def cut_from(job, side):
    """Names and start times of the windows of a side: 0 training, 1 held out."""
    windows = (job.train, job.held)[side]
    return {
        "names": np.array([job.names[side][file] for file in windows.file_n]),
        "start_seconds_n": windows.start_n / job.model.spec.rate_hz,
    }
