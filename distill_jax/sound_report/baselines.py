"""What a reconstruction must beat, and by which measures.

The baselines are the nearest training sound, as many principal components as the
model has latents, and the mean of the training sounds; the round trip without a
network is the ceiling. All go through the same inversion, and all functions take
batches of one size, so that each compiles once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import sound
from distill_jax.audio import distance, phase
from distill_jax.data import manifest, pipeline

ITERATIONS = 32
# Pictures compared at a time; more do not make it faster.
BANK, QUERIES = 256, 64


class Windows(NamedTuple):
    """Windows of audio as the model sees them.

    Attributes:
      audio_ns: [windows, samples].
      feature_nftc: their two-channel spectrograms, [windows, mels, frames, 2].
      file_n: which file of the source each was cut from, [windows].
      start_n: its first sample in that file, [windows].
    """

    audio_ns: np.ndarray
    feature_nftc: np.ndarray
    file_n: np.ndarray
    start_n: np.ndarray


class Pca(NamedTuple):
    """Principal components of pictures.

    Attributes:
      mean_ft: mean picture, [mels, frames].
      component_rft: orthonormal pictures, the strongest first, [rank, mels, frames].
    """

    mean_ft: np.ndarray
    component_rft: np.ndarray


def sample(source, most, seed, spec):
    """Reads windows of a source, of every file about equally many.

    Args:
      source: `pipeline.Source`.
      most: how many windows at most; every one, if there are no more.
      seed: which windows.
      spec: `phase.Spectrogram`.

    Returns:
      `Windows`, in the order of the source.
    """
    file_n, start_n = source.window_nk[spread(source.window_nk[:, 0], most, seed)].T
    pairs = zip(file_n, start_n, strict=True)
    audio_ns = np.stack([pipeline.read_window(source, *pair) for pair in pairs])
    return Windows(audio_ns, encode(audio_ns, spec), file_n, start_n)


def audible(windows, most):
    """At most so many of the windows that are not silent, of every file in turn."""
    loud_n = np.abs(windows.audio_ns).max(axis=1) > 10 ** (manifest.SILENCE_DBFS / 20)
    loud_n = np.flatnonzero(loud_n)
    kept_n = loud_n[spread(windows.file_n[loud_n], most, seed=0)]
    return Windows(*(field[kept_n] for field in windows))


def spread(group_n, most, seed):
    """Indices of a random sample that takes from all groups in turn.

    Args:
      group_n: the group of every example, [n].
      most: how many examples at most.
      seed: which.

    Returns:
      Indices in rising order, min(n, most) of them.
    """
    order_n = np.random.default_rng(seed).permutation(len(group_n))
    turn_n = np.empty(len(group_n), int)
    for group in np.unique(group_n):
        of_group = order_n[group_n[order_n] == group]
        turn_n[of_group] = np.arange(len(of_group))
    by_turn_n = order_n[np.argsort(turn_n[order_n], kind="stable")]
    return np.sort(by_turn_n[:most])


def encode(audio_ns, spec):
    """Two-channel spectrograms, [sounds, mels, frames, 2]."""
    return sound.in_batches(lambda _, x_bs: phase.encode(x_bs, spec), None, audio_ns)


def decode(feature_nftc, spec, samples):
    """Audio of two-channel spectrograms, [sounds, samples]."""

    def of_batch(_, feature_bftc):
        return phase.decode(feature_bftc, spec, ITERATIONS, samples)

    return sound.in_batches(of_batch, None, feature_nftc)


def log_mel(feature_nftc, spec):
    """Log power in mel bands, as `distance.log_mel_l1` compares it.

    Args:
      feature_nftc: spectrograms of audio, [sounds, mels, frames, 2].
      spec: `phase.Spectrogram`.

    Returns:
      [sounds, mels, frames], in nepers of power.
    """

    def of_batch(_, feature_bftc):
        power_bft = phase.mel_power_bft(feature_bftc, spec)
        return jnp.log(jnp.maximum(power_bft, distance.MEL_FLOOR))

    return sound.in_batches(of_batch, None, feature_nftc)


def distances(reference_ns, estimate_ns, spec):
    """How far audio is from its reference, by every measure.

    Args:
      reference_ns: [sounds, samples].
      estimate_ns: [sounds, samples].
      spec: `phase.Spectrogram`.

    Returns:
      {measure: value_n}.
    """

    def of_batch(_, pair_b2s):
        pair = pair_b2s[:, 0], pair_b2s[:, 1]
        return {
            "log_mel_l1": distance.log_mel_l1(*pair, spec.mel),
            "mrstft": distance.mrstft(*pair),
            "lsd_db": distance.log_spectral_distance_db(*pair),
            "spectral_convergence": distance.spectral_convergence(*pair),
        }

    return sound.in_batches(of_batch, None, np.stack([reference_ns, estimate_ns], 1))


def fit_pca(picture_nft, rank):
    """Fits principal components.

    Args:
      picture_nft: [pictures, mels, frames].
      rank: how many components; fewer are found if the pictures span fewer.

    Returns:
      A `Pca`.
    """
    count, *shape = picture_nft.shape
    mean_ft = picture_nft.mean(axis=0)
    centred_np = (picture_nft - mean_ft[None]).reshape(count, -1).astype(np.float64)
    # There are fewer pictures than cells: the small side has the same spectrum.
    value_n, vector_nn = np.linalg.eigh(centred_np @ centred_np.T)
    kept = np.flatnonzero(value_n > 1e-10 * max(value_n[-1], 1e-10))[::-1][:rank]
    weight_rn = (vector_nn[:, kept] / np.sqrt(value_n[kept])[None]).T
    component_rft = (weight_rn @ centred_np).reshape(-1, *shape)
    return Pca(mean_ft, component_rft.astype(np.float32))


def project(pca, picture_nft):
    """The nearest pictures that the components can make, [pictures, mels, frames]."""
    centred_nft = picture_nft - pca.mean_ft[None]
    weight_nr = np.tensordot(centred_nft, pca.component_rft, ((1, 2), (1, 2)))
    return pca.mean_ft[None] + np.tensordot(weight_nr, pca.component_rft, 1)


@jax.jit
def _l1(query_qft, bank_cft):
    difference_qcft = query_qft[:, None] - bank_cft[None]
    return jnp.mean(jnp.abs(difference_qcft), axis=(2, 3))


def nearest(query_nft, bank_mft, allowed_nm=None):
    """The picture of a bank that each query resembles most.

    Args:
      query_nft: [queries, mels, frames].
      bank_mft: [pictures, mels, frames].
      allowed_nm: which pictures each query may have; all of them by default.

    Returns:
      index_n and its mean absolute difference distance_n; infinity where a query
      may have none.
    """
    distance_nm = np.empty((len(query_nft), len(bank_mft)), np.float32)
    for row in range(0, len(query_nft), QUERIES):
        query_qft = _filled(query_nft[row : row + QUERIES], QUERIES)
        for column in range(0, len(bank_mft), BANK):
            bank_cft = _filled(bank_mft[column : column + BANK], BANK)
            part_nm = distance_nm[row : row + QUERIES, column : column + BANK]
            rows, columns = part_nm.shape
            part_nm[:] = _l1(query_qft, bank_cft)[:rows, :columns]
    if allowed_nm is not None:
        distance_nm[~allowed_nm] = np.inf
    index_n = distance_nm.argmin(axis=1)
    return index_n, distance_nm[np.arange(len(query_nft)), index_n]


def _filled(array_nft, count):
    return np.pad(array_nft, ((0, count - len(array_nft)), (0, 0), (0, 0)))


def candidates(opened, train, held):
    """What the model and each baseline make of held-out windows.

    Args:
      opened: `sound.Sound`.
      train: `Windows`.
      held: `Windows`.

    Yields:
      Name, audio_ns and magnitude_nft (channel 0) of "reconstruction", "ceiling",
      "nearest", "pca" and "mean".
    """
    spec, samples = opened.spec, opened.samples

    def heard(feature_nftc):
        return decode(feature_nftc, spec, samples), feature_nftc[..., 0]

    def without_frequency(magnitude_nft):
        magnitude_nft = np.maximum(magnitude_nft, 0.0)
        return heard(np.stack([magnitude_nft, np.zeros_like(magnitude_nft)], axis=-1))

    mean_nz, _ = opened.encode(held.audio_ns)
    yield "reconstruction", *heard(opened.decode(mean_nz))
    yield "ceiling", *heard(held.feature_nftc)
    index_n, _ = nearest(
        log_mel(held.feature_nftc, spec), log_mel(train.feature_nftc, spec)
    )
    yield "nearest", train.audio_ns[index_n], train.feature_nftc[index_n, ..., 0]
    pca = fit_pca(train.feature_nftc[..., 0], opened.config.model.latent)
    yield "pca", *without_frequency(project(pca, held.feature_nftc[..., 0]))
    audio_1s, mean_1ft = without_frequency(pca.mean_ft[None])
    count = len(held.audio_ns)
    yield "mean", np.repeat(audio_1s, count, 0), np.repeat(mean_1ft, count, 0)


def compare(opened, train, held):
    """Measures every candidate on every held-out window.

    Args:
      opened: `sound.Sound`.
      train: `Windows`.
      held: `Windows`.

    Yields:
      Name of the candidate and {measure: value_n}, smaller being better: the four
      of `distances` and `magnitude_l1`, in units of channel 0.
    """
    target_nft = held.feature_nftc[..., 0]
    for name, audio_ns, magnitude_nft in candidates(opened, train, held):
        values = distances(held.audio_ns, audio_ns, opened.spec)
        error_nft = np.abs(magnitude_nft - target_nft)
        yield name, values | {"magnitude_l1": error_nft.mean(axis=(1, 2))}


def closeness(opened, train, held, drawn_nz):
    """Nearest-neighbour distances that tell invention from memory.

    Args:
      opened: `sound.Sound`.
      train: `Windows`.
      held: `Windows`.
      drawn_nz: latents of generated sounds, [sounds, latents].

    Returns:
      {"generated", "held_out", "training": distance_n}, the log-mel L1 from sounds
      of each kind to the training window that is nearest, for training windows to
      the nearest in another file.
    """
    spec = opened.spec
    bank_mft = log_mel(train.feature_nftc, spec)
    audio_ns = decode(opened.decode(drawn_nz), spec, opened.samples)
    generated_nft = log_mel(encode(audio_ns, spec), spec)
    some = audible(train, len(held.audio_ns))
    allowed_nm = some.file_n[:, None] != train.file_n[None]
    return {
        "generated": nearest(generated_nft, bank_mft)[1],
        "held_out": nearest(log_mel(held.feature_nftc, spec), bank_mft)[1],
        "training": nearest(log_mel(some.feature_nftc, spec), bank_mft, allowed_nm)[1],
    }
