"""What the axes do to the sound, and which of them have earned a name.

An axis gets a name only if moving along it changes a descriptor steadily, audibly,
and by more than moving as far along random directions does. Rank correlation alone
would name almost anything: a smooth decoder changes every descriptor a little, and
nearly always in one direction.
"""

import math
from typing import NamedTuple

import numpy as np

from distill_jax import progress
from distill_jax import sound as sounds
from distill_jax.audio import descriptors, phase
from distill_jax.sound_analysis import axes as lines

BASES, POSITIONS = 8, 7
# Sounds that say how much each descriptor varies.
CORPUS = 256
# The greatest of 19 families is beaten by chance once in 20.
FAMILIES, LEAST_DIRECTIONS, CONFIDENCE = 19, 64, 0.95
LEAST_RHO, LEAST_CHANGE = 0.9, 0.25
FEWEST_RANKED = 5
STRETCH = 64


class Effects(NamedTuple):
    """What axes do to descriptors; NaN where too few sounds have an answer.

    Attributes:
      rho_a5: mean over the base points of Spearman's correlation between position
        and descriptor, [axes, descriptors].
      change_a5: mean change from the lowest to the highest safe position, in
        standard deviations of the corpus.
      limit_5: what a change must exceed, see `null_limit`.
      corpus_std_5: standard deviation over the corpus, in the descriptor's unit.
      path_ap5: mean over the base points at each position, in the descriptor's unit.
    """

    rho_a5: np.ndarray
    change_a5: np.ndarray
    limit_5: np.ndarray
    corpus_std_5: np.ndarray
    path_ap5: np.ndarray


def describe(sound, latent_nz, title):
    """Decodes latents and describes each window, with a progress bar.

    Args:
      sound: `sound.Sound`.
      latent_nz: [any leading axes, latents].
      title: for the progress bar.

    Returns:
      [the same axes, descriptors], in the order of `descriptors.NAMES`. Pitch is
      heard from a draft of the waveform, without Griffin-Lim iterations.
    """
    spec, mel = sound.spec, sound.spec.mel

    def of_batch(_, latent_bz):
        feature_bftc = sound.decode(latent_bz)
        # The last frame reaches beyond the window; a draft needs no more than this.
        audio_bs = phase.decode(feature_bftc, spec, iterations=0)
        power_bft = phase.mel_power_bft(feature_bftc, spec)
        return descriptors.describe(power_bft, audio_bs, mel)

    flat_nz = latent_nz.reshape(-1, latent_nz.shape[-1])
    starts = progress.bar(range(0, len(flat_nz), STRETCH), title, unit="batch")
    parts = [
        sounds.in_batches(of_batch, None, flat_nz[start : start + STRETCH])
        for start in starts
    ]
    return np.concatenate(parts).reshape(*latent_nz.shape[:-1], -1)


def measure(sound, axes, mean_nz, seed=0):
    """Measures what each axis does to each descriptor, and what chance does.

    Args:
      sound: `sound.Sound`.
      axes: `axes.Axes` of `fit`, at least one.
      mean_nz: posterior means of the training sounds, [windows, latents].
      seed: of the base points and the null directions.

    Returns:
      `Effects`.
    """
    rng = np.random.default_rng(seed)
    order_n = rng.permutation(len(mean_nz))
    base_bz, corpus_nz = mean_nz[order_n[:BASES]], mean_nz[order_n[:CORPUS]]
    families = max(FAMILIES, math.ceil(LEAST_DIRECTIONS / len(axes.std_a)))
    null = lines.turned(axes, families, seed)
    corpus_n5 = describe(sound, corpus_nz, "corpus")
    value_abp5 = describe(sound, lines.sweep(axes, base_bz, POSITIONS), "axes")
    null_nbp5 = describe(sound, lines.sweep(null, base_bz, 2), "null directions")
    corpus_std_5 = spread(corpus_n5)
    null_n5 = change(null_nbp5) / corpus_std_5[None, :]
    return Effects(
        mean_over_bases(spearman(value_abp5)),
        change(value_abp5) / corpus_std_5[None, :],
        null_limit(null_n5.reshape(families, -1, len(corpus_std_5))),
        corpus_std_5,
        mean_over_bases(value_abp5),
    )


def spread(value_n5):
    """Standard deviation of each descriptor, NaN where fewer than half are known."""
    known_n5 = np.isfinite(value_n5)
    enough_5 = (2 * known_n5.sum(axis=0) >= len(value_n5)) & (known_n5.sum(axis=0) > 1)
    mean_5 = np.sum(value_n5, axis=0, where=known_n5) / np.maximum(
        known_n5.sum(axis=0), 1
    )
    square_n5 = np.square(value_n5 - mean_5[None, :])
    variance_5 = np.sum(square_n5, axis=0, where=known_n5) / np.maximum(
        known_n5.sum(axis=0), 1
    )
    return np.where(enough_5 & (variance_5 > 1e-12), np.sqrt(variance_5), np.nan)


def mean_over_bases(value_ab5):
    """Mean over axis 1, NaN where fewer than half of the base points are known."""
    known_ab5 = np.isfinite(value_ab5)
    count_a5 = known_ab5.sum(axis=1)
    mean_a5 = np.sum(value_ab5, axis=1, where=known_ab5) / np.maximum(count_a5, 1)
    return np.where(2 * count_a5 >= value_ab5.shape[1], mean_a5, np.nan)


def change(value_abp5):
    """Mean over the base points of the change from the first to the last position."""
    return mean_over_bases(value_abp5[:, :, -1] - value_abp5[:, :, 0])


def spearman(value_abp5):
    """Spearman's rank correlation with the position, [axes, bases, descriptors].

    Positions without an answer are left out; NaN if fewer than five are left, 0 if
    the value never changes.

    Source: Spearman 1904, with mean ranks for ties.
    """
    return np.apply_along_axis(_spearman, 2, value_abp5)


def _spearman(value_p):
    value_p = value_p[np.isfinite(value_p)]
    if len(value_p) < FEWEST_RANKED:
        return np.nan
    more_pp = value_p[:, None] > value_p[None, :]
    rank_p = more_pp.sum(axis=1) - more_pp.sum(axis=0)
    place_p = 2 * np.arange(len(value_p)) - len(value_p) + 1
    if not rank_p.any():
        return 0.0
    return rank_p @ place_p / math.sqrt((rank_p @ rank_p) * (place_p @ place_p))


def null_limit(null_fa5):
    """What a change along one of the axes exceeds by chance in 5 % of all analyses.

    Descriptors are brought to one scale by their root mean square over the null.
    Each family gives its greatest change over axes and descriptors, so that the
    chance of a single wrong name among all of them is what is held.

    Args:
      null_fa5: changes along null directions, [families, axes, descriptors].

    Returns:
      The limit of each descriptor, [descriptors]; NaN where no null is known.

    Source: the maximum statistic, Westfall & Young 1993, 2.3.
    """
    size_fa5 = np.abs(null_fa5)
    known_fa5 = np.isfinite(size_fa5)
    count_5 = known_fa5.sum(axis=(0, 1))
    square_5 = np.sum(np.square(size_fa5), axis=(0, 1), where=known_fa5)
    scale_5 = np.sqrt(square_5 / np.maximum(count_5, 1)) + 1e-12
    ratio_fa5 = np.where(known_fa5, size_fa5 / scale_5[None, None, :], 0.0)
    greatest_f = np.sort(ratio_fa5.max(axis=(1, 2)))
    place = math.ceil((len(greatest_f) + 1) * CONFIDENCE) - 1
    limit = greatest_f[min(place, len(greatest_f) - 1)]
    return np.where(count_5 > 0, limit * scale_5, np.nan)


def names(effects):
    """Which axis may be called what.

    A name needs a correlation of at least 0.9, a change above the null's limit, of
    at least a quarter of the corpus's standard deviation, and audible. Where two
    claim one name the greater change has it, and an axis has one name.

    Args:
      effects: `Effects`.

    Returns:
      {index of the axis: index of the descriptor}.
    """
    size_a5 = np.abs(effects.change_a5)
    audible_5 = np.array([kind.audible for kind in descriptors.DESCRIPTORS])
    least_5 = np.maximum(audible_5 / effects.corpus_std_5, LEAST_CHANGE)
    # Comparisons with NaN are false: what is not known is not named.
    fit_a5 = (np.abs(effects.rho_a5) >= LEAST_RHO) & (size_a5 >= least_5[None, :])
    fit_a5 &= size_a5 > effects.limit_5[None, :]
    claims = sorted(zip(*np.nonzero(fit_a5), strict=True), key=lambda at: -size_a5[at])
    found = {}
    for axis, kind in claims:
        if axis not in found and kind not in found.values():
            found[int(axis)] = int(kind)
    return found
