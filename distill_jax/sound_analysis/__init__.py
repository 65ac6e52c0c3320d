"""What the axes of a trained sound VAE do: measured, named, drawn, and moved along."""

import hashlib
import json
from pathlib import Path

import numpy as np

from distill_jax import report
from distill_jax.audio import descriptors
from distill_jax.sound_analysis import axes, evidence, page, records
from distill_jax.sound_analysis.axes import LatentsError
from distill_jax.sound_analysis.records import find, move

__all__ = ["LatentsError", "analyse", "find", "move", "read", "write"]

FILE = "report/analysis.json"
# Raise it when what is measured changes, so that old files are not believed.
VERSION = 1


def analyse(sound, mean_nz, seed=0):
    """Finds the axes of the latents and measures what each does to the sound.

    Args:
      sound: `sound.Sound`.
      mean_nz: posterior means of the training sounds, [windows, latents].
      seed: of the base points and the null directions.

    Returns:
      A dictionary of plain values: `mean`, the latent at which all positions are 0;
      `axes`, see `records.of`; `descriptors`, with the unit, the standard
      deviation over the corpus and the null's limit of each; `named`, how many axes
      have a name; and what it was made from.

    Raises:
      LatentsError: there are too few windows, or their latents are all the same.
    """
    found = axes.fit(mean_nz)
    effects = evidence.measure(sound, found, mean_nz, seed)
    axis_records = records.of(found, effects)
    return {
        "version": VERSION,
        "fingerprint": fingerprint(sound.step, mean_nz),
        "step": sound.step,
        "seed": seed,
        "windows": len(mean_nz),
        "base_points": evidence.BASES,
        "named": sum(record["name"] is not None for record in axis_records),
        "descriptors": {
            kind.name: {
                "unit": kind.unit,
                "corpus_std": float(effects.corpus_std_5[index]),
                "null_limit": float(effects.limit_5[index]),
                "audible": kind.audible,
            }
            for index, kind in enumerate(descriptors.DESCRIPTORS)
        },
        "mean": found.mean_z.tolist(),
        "axes": axis_records,
    }


def fingerprint(step, mean_nz):
    """Tells analyses of different checkpoints or sounds apart, 16 hex digits."""
    content = np.ascontiguousarray(mean_nz, np.float32).tobytes()
    return hashlib.sha256(b"%d " % step + content).hexdigest()[:16]


def write(workdir, sound, latents, seed=0):
    """Analyses a trained model: `report/analysis.json` and `report/analysis.html`.

    Args:
      workdir: folder of the run.
      sound: `sound.Sound` of its best checkpoint.
      latents: `sound.read_latents` of that.
      seed: see `analyse`.

    Returns:
      What `analyse` returns.

    Raises:
      LatentsError: there are too few windows, or their latents are all the same.
    """
    folder = Path(workdir) / "report"
    analysis = analyse(sound, latents["mean_nz"], seed)
    page.write(folder, sound, latents, analysis)
    report.figures(Path(workdir) / FILE, analysis)
    return analysis


def read(workdir, step):
    """Reads what `write` found.

    Args:
      workdir: folder of the run.
      step: of the model that is to be moved.

    Returns:
      The dictionary of `analyse`.

    Raises:
      FileNotFoundError: the run was not analysed.
      ValueError: the analysis is that of another checkpoint or version.
    """
    path = Path(workdir) / FILE
    remedy = f"run: distill-jax analyse --workdir {workdir}"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, so no axis is known; {remedy}")
    analysis = json.loads(path.read_text(encoding="utf-8"))
    if (analysis["version"], analysis["step"]) != (VERSION, step):
        raise ValueError(
            f"{path} (version {analysis['version']}) is about step {analysis['step']}, "
            f"the best checkpoint is that of step {step} (version {VERSION}); {remedy}"
        )
    return analysis
