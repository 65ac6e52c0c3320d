"""Sounds to listen to, with their pictures."""

import re
from pathlib import PurePosixPath

import jax.numpy as jnp
import numpy as np

from distill_jax import report, sound
from distill_jax.audio import files, phase
from distill_jax.data import pipeline
from distill_jax.sound_report import baselines
from distill_jax.sound_report.job import Chapter

SOUNDS, SECONDS = 6, 4.0
LEVEL_DB = (-80.0, 0.0)
# Where it is quieter the frequency is not drawn: nobody hears it.
QUIET_DB = -60.0


def held_out(job):
    """Held-out sounds, through the representation alone and through the model."""
    spec = job.model.spec
    chosen, original_ns, length_n = chosen_sounds(job)
    feature_nftc = np.asarray(phase.encode(original_ns, spec))
    model_nftc = np.stack([_through(job.model, audio_s) for audio_s in original_ns])
    round_trip_ns, model_ns = (
        np.asarray(
            phase.decode(x_nftc, spec, baselines.ITERATIONS, original_ns.shape[1])
        )
        for x_nftc in (feature_nftc, model_nftc)
    )
    titles = [job.names[1][file] for file in chosen]
    heard = {"original": original_ns, "round_trip": round_trip_ns, "model": model_ns}
    players = [
        [
            title,
            *(
                _player(job, f"held_out_{row}_{name}", audio_ns[row, :length])
                for name, audio_ns in heard.items()
            ),
        ]
        for row, (title, length) in enumerate(zip(titles, length_n, strict=True))
    ]
    pairs = [
        [x_ftc[:, : phase.frames(length, spec)] for x_ftc in pair]
        for *pair, length in zip(feature_nftc, model_nftc, length_n, strict=True)
    ]
    rows_of = [title.rpartition(".")[0].replace("/", "\n") for title in titles]
    draw(job, "spectrograms", pairs, (["original", "reconstruction"], rows_of))
    parts = [
        f"At most {SECONDS:g} s of each. The round trip goes to the spectrogram and "
        "back with no network: the best that the model could sound.",
        report.Table(["", "original", "round trip", "reconstruction"], players),
        report.Image(
            "spectrograms_level.png", "Low sounds at the bottom, dark is quiet."
        ),
        report.Image(
            "spectrograms_frequency.png",
            "Where within each band the energy lies: below its centre (blue) or above "
            "it (red); grey where it is too quiet to matter.",
        ),
    ]
    return Chapter({}, report.Section("Held-out sounds", parts))


def chosen_sounds(job):
    """Held-out files of all kinds in turn.

    Returns:
      Their numbers file_n, the beginning of each, audio_ns, with silence after the
      end, and its length_n in samples.
    """
    source = job.sources[1]
    samples = round(SECONDS * job.model.spec.rate_hz)
    kinds = np.array([_kind(name) for name in job.names[1]])
    file_n = baselines.spread(kinds, SOUNDS, seed=0)
    whole = source._replace(window=samples)
    audio_ns = np.stack([pipeline.read_window(whole, file, 0) for file in file_n])
    return file_n, audio_ns, np.minimum(source.length_n[file_n], samples)


def _kind(name):
    """What files of one sort share: their folder, or how their names begin."""
    path = PurePosixPath(name)
    return str(path.parent) if path.parent.name else re.match(r"[^\d_]*", path.stem)[0]


def _through(model, audio_s):
    """What the model makes of a longer sound, [mels, frames, 2]."""
    feature_ftc = sound.spectrogram(model, sound.latents(model, audio_s))
    return feature_ftc[:, : phase.frames(len(audio_s), model.spec)]


def _player(job, name, audio_s):
    path = job.folder / "audio" / f"{name}.wav"
    settings = {"run": job.workdir.resolve().name, "sound": name}
    files.write(path, files.limit(audio_s), job.model.spec.rate_hz, settings)
    return report.Audio(path.relative_to(job.folder))


def generated(job):
    """New sounds, drawn where the training sounds lie."""
    model, spec = job.model, job.model.spec
    samples = round(SECONDS * spec.rate_hz)
    prior, count = (
        sound.fitted_prior(job.workdir, model.step),
        sound.latents_needed(model, samples),
    )
    audio_ns = [
        sound.generate(model, sound.wander(prior, count, seed), samples)
        for seed in range(SOUNDS)
    ]
    titles = [f"seed {seed}" for seed in range(SOUNDS)]
    players = [
        [title, _player(job, f"generated_{seed}", audio_ns[seed])]
        for seed, title in enumerate(titles)
    ]
    feature_nftc = list(np.asarray(phase.encode(np.stack(audio_ns), spec)))
    rows = [feature_nftc[start : start + 2] for start in range(0, SOUNDS, 2)]
    rows_of = [f"{a}, {b}" for a, b in zip(titles[::2], titles[1::2], strict=True)]
    draw(job, "generated", rows, (["", ""], rows_of))
    parts = [
        "They wander from one drawn latent to the next, one a window.",
        report.Table(["", ""], players),
        report.Image("generated_level.png"),
    ]
    return Chapter({}, report.Section("New sounds", parts))


def draw(job, name, rows, titles):
    """Draws both channels of features, as `NAME_level.png` and `NAME_frequency.png`.

    Args:
      job: a `Job`.
      name: how the names of the files begin.
      rows: features [mels, frames, 2], a list of them per row.
      titles: of the columns and of the rows, two lists.
    """
    spec = job.model.spec
    levels(job.folder / f"{name}_level.png", rows, titles, spec)
    band_hz, seconds = phase.centre_hz(spec), spec.hop / spec.rate_hz
    bend = [
        [
            np.where(decibels(x_ftc, spec) > QUIET_DB, x_ftc[..., 1], np.nan)
            for x_ftc in row
        ]
        for row in rows
    ]
    title, unit = "Frequency within the band", "from the band's centre"
    scale = report.Scale(title, band_hz, seconds, unit, (-1.0, 1.0))
    report.spectrograms(job.folder / f"{name}_frequency.png", bend, *titles, scale)


def levels(path, rows, titles, spec):
    """Draws the level of features.

    Args:
      path: the PNG file.
      rows: features [mels, frames, 2], a list of them per row.
      titles: of the columns and of the rows, two lists.
      spec: `phase.Spectrogram`.
    """
    level = [[decibels(x_ftc, spec) for x_ftc in row] for row in rows]
    band_hz, seconds = phase.centre_hz(spec), spec.hop / spec.rate_hz
    scale = report.Scale("Level", band_hz, seconds, "dB, 0 is full scale", LEVEL_DB)
    report.spectrograms(path, level, *titles, scale)


def decibels(feature_ftc, spec):
    """Level of channel 0, [mels, frames], in dB under full scale."""
    power_bft = phase.mel_power_bft(jnp.asarray(feature_ftc[None]), spec)
    return 10 * np.log10((np.asarray(power_bft[0]) + spec.epsilon) / phase.FULL_POWER)
