"""The sound VAE: trained from a form, and played with sliders."""

import io
import secrets
from pathlib import Path
from typing import NamedTuple

import numpy as np

import distill_jax
from distill_jax import (
    checkpoints,
    integrity,
    jobs,
    settings,
    sound_analysis,
)
from distill_jax import sound as sounds
from distill_jax.app import places, runs
from distill_jax.app.training import Event
from distill_jax.audio import files, phase
from distill_jax.sound_report import examples

CONFIG = "configs/vae.py"
MADE = "made"
MOST_SLIDERS = 12
LONGEST_SECONDS = 20.0
PREVIEW, GOOD = 8, 32  # iterations of Griffin-Lim


class Form(NamedTuple):
    """What is asked for to train.

    Attributes:
      name: of the run.
      data: folder in the root; "" takes the built-in sounds.
      steps: of training; 0 takes what is usual.
      changes: lines of NAME=VALUE, as flags of the training command are.
    """

    name: str
    data: str = ""
    steps: int = 0
    changes: str = ""


class Wish(NamedTuple):
    """A sound that is to be made.

    Attributes:
      seed: int.
      seconds: length.
      temperature: how far from the mean of the training sounds.
      positions: {axis: standard deviations}.
    """

    seed: int
    seconds: float
    temperature: float
    positions: dict[str, float]


def config(root, form):
    """Settings and folder of a run to be trained.

    Raises:
      ValueError: a name, path or setting is wrong; or the run is of another kind.
    """
    folder = places.named(root, form.name)
    lines = [line.strip() for line in form.changes.splitlines() if line.strip()]
    if any(line.split("=")[0].split(".")[0] == "data" for line in lines):
        raise ValueError("data has a field of its own; leave out changes of data")
    if runs.is_run(folder):
        found = checkpoints.read_config(folder)
        if found.task != "vae":
            raise ValueError(
                f"{form.name!r} is a run of the task {found.task!r}; choose another "
                "name"
            )
        if found.data.root:
            places.recordings(root, found.data.root)
    else:
        found = settings.read(CONFIG)
        found.data.root = str(places.recordings(root, form.data)) if form.data else ""
    if form.steps:
        found.steps = int(form.steps)
    return settings.changed(found, lines), folder


def train(config, folder):
    """Trains, reports and looks for axes, going on where it was left.

    Yields:
      `training.Event`.
    """
    title = "training"
    yield Event(title, 1, 3, 0, config.steps)
    for step, values in jobs.steps(config, folder):
        yield Event(title, 1, 3, step, config.steps, values)
    yield Event("listening to held-out sounds", 2, 3)
    jobs.report(config, folder)
    yield Event("looking for axes", 3, 3)
    sound = sounds.load(folder)
    sound_analysis.write(folder, sound, sounds.read_latents(folder, sound.step))


def players(root):
    """Names of runs that can be played."""
    return runs.trained(root, "vae")


class Instrument(NamedTuple):
    """An opened run.

    Attributes:
      name: of the run.
      folder: of it.
      sound: `sound.Sound`.
      prior: `sound.Prior`.
      analysis: dictionary of `sound_analysis`, None where it was not made.
      note: what is missing, or "".
    """

    name: str
    folder: Path
    sound: sounds.Sound
    prior: sounds.Prior
    analysis: dict | None
    note: str


def opened(root, name):
    """Opens a run; without its report it plays from the standard prior, and says so.

    Raises:
      FileNotFoundError, checkpoints.CheckpointError: there is no run to play.
    """
    folder = places.inside(root, name)
    sound, notes = sounds.load(folder), []
    try:
        prior = sounds.fitted_prior(folder, sound.step)
    except (FileNotFoundError, ValueError):
        prior = sounds.standard_prior(sound)
        notes.append(
            "its report is missing or older than the model, so sounds are drawn from "
            "the standard normal distribution"
        )
    try:
        analysis = sound_analysis.read(folder, sound.step)
    except (FileNotFoundError, ValueError):
        analysis = None
        notes.append("no axis is known yet; train it to its end")
    return Instrument(name, folder, sound, prior, analysis, "; ".join(notes))


def version(root, name):
    """Changes whenever `opened` would give something else."""
    folder = places.inside(root, name)
    file = folder / sound_analysis.FILE
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    return name, tuple(integrity.steps(folder / "checkpoints")), changed


def sliders(found):
    """(key, label, lowest, highest) of each axis, the named first; [] without any."""
    records = found.analysis["axes"] if found.analysis else []
    rows = []
    for number, record in enumerate(records, 1):
        low, high = record["safe"]
        title = record["name"] or f"axis {number} (no name)"
        key = record["name"] or f"axis{number}"
        rows.append((key, title, round(low, 2), round(high, 2)))
    return sorted(rows, key=lambda row: row[1].startswith("axis"))[:MOST_SLIDERS]


def random_seed():
    """A seed that is short enough to be read out."""
    return secrets.randbelow(100_000)


def generate(found, wish, iterations=GOOD):
    """A sound of an instrument.

    Args:
      found: `Instrument`.
      wish: `Wish`.
      iterations: of Griffin-Lim.

    Returns:
      audio_s, within full scale.

    Raises:
      ValueError: a number is out of range.
    """
    if not 0 < wish.seconds <= LONGEST_SECONDS:
        raise ValueError(f"{wish.seconds} s, expected up to {LONGEST_SECONDS:g}")
    if wish.seed < 0 or not 0 <= wish.temperature <= 2:
        raise ValueError("expected a seed of 0 or more and a temperature of 0 to 2")
    samples = round(wish.seconds * found.sound.spec.rate_hz)
    count = sounds.latents_needed(found.sound, samples)
    path_nz = sounds.wander(found.prior, count, wish.seed, wish.temperature)
    if wish.positions:
        path_nz = sound_analysis.move(found.analysis, path_nz, _safe(found, wish))
    return files.limit(sounds.generate(found.sound, path_nz, samples, iterations))


def _safe(found, wish):
    """Positions within the safe ranges, whatever a browser sent."""
    safe = {}
    for name, position in wish.positions.items():
        low, high = sound_analysis.find(found.analysis, name)["safe"]
        safe[name] = min(max(float(position), low), high)
    return safe


def between(found, start_s, end_s, mix, morph):
    """What lies between two sounds: at a place, or all the way."""
    mix_n = [0.0, 1.0] if morph else [float(mix)]
    return files.limit(sounds.interpolate(found.sound, start_s, end_s, mix_n))


def drawn(found, audio_s):
    """The spectrogram of a sound, bytes of a PNG file."""
    spec = found.sound.spec
    feature_ftc = np.asarray(phase.encode(audio_s[None], spec))[0]
    file = io.BytesIO()
    examples.levels(file, [[feature_ftc]], ([""], [""]), spec)
    return file.getvalue()


def save(found, audio_s, about):
    """Writes a sound into the folder of its run, with how it was made in its tag.

    Args:
      found: `Instrument`.
      audio_s: the sound.
      about: JSON values.

    Returns:
      Path of the new file.
    """
    folder = found.folder / MADE
    folder.mkdir(exist_ok=True)
    rate_hz = found.sound.spec.rate_hz
    settings = {
        "program": f"distill_jax {distill_jax.__version__}",
        "run": found.name,
        "step": found.sound.step,
        "rate_hz": rate_hz,
        **about,
    }
    number = 1 + sum(1 for _ in folder.glob("*.wav"))
    path = folder / f"sound_{number:03d}.wav"
    files.write(path, audio_s, rate_hz, settings)
    return path
