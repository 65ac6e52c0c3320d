"""How much the two-channel spectrogram loses: recordings encoded and decoded again.

    python -m benchmarks.roundtrip [--root ../shared/data] [--every 1] [--per-clip]

No network is involved. Of each recording the loudest two seconds are taken and
peak-normalised. "no frequency" is channel 0 alone, decoded from random phase;
librosa's Griffin-Lim gets that same magnitude.
"""

import argparse
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np

from benchmarks import timing
from distill_jax import progress
from distill_jax.audio import distance, files, magnitude, phase

RATE_HZ = 48_000
SAMPLES = 2 * RATE_HZ
BATCH = 8
MEASURES = {
    "MRSTFT": distance.mrstft,
    "LSD dB": distance.log_spectral_distance_db,
    "SC": distance.spectral_convergence,
    "log-mel L1": distance.log_mel_l1,
}
GOALS = (0.80, 4.0, 0.16, None)


def loudest_part(audio_s):
    """The loudest two seconds, on a grid of a tenth of a second, with peak 1."""
    step = RATE_HZ // 10
    starts = np.arange(0, max(1, len(audio_s) - SAMPLES + 1), step)
    energy_s = np.concatenate([[0.0], np.cumsum(audio_s.astype(np.float64) ** 2)])
    ends = np.minimum(starts + SAMPLES, len(audio_s))
    start = starts[np.argmax(energy_s[ends] - energy_s[starts])]
    part_s = audio_s[start : start + SAMPLES]
    return part_s / np.abs(part_s).max()


def is_padded(audio_s):
    """Whether a tenth of the part or more is digital silence."""
    peak_n = np.abs(audio_s).reshape(-1, 250).max(axis=1)
    return np.mean(peak_n < 1e-5) >= 0.1


def recordings(root, every):
    paths = sorted(Path(root, "background_noise").glob("*.flac"))
    for folder in sorted(Path(root, "esc10_4").iterdir()):
        paths += sorted(folder.glob("*.ogg"))[::every]
    return {
        f"{path.parent.name}/{path.stem}": loudest_part(files.read(path, RATE_HZ))
        for path in progress.bar(paths, "reading")
    }


@functools.partial(jax.jit, static_argnames=("spec", "iterations"))
def no_frequency(feature_bftc, spec, iterations):
    """Fast Griffin-Lim from random phase on the magnitude of channel 0 alone."""
    magnitude_btk = channel_zero(feature_bftc, spec)
    turns_btk = jax.random.uniform(jax.random.key(0), magnitude_btk.shape)
    unit_btk = jnp.exp(2j * np.pi * turns_btk)
    return phase.griffin_lim(magnitude_btk, unit_btk, spec, iterations, SAMPLES)


@functools.partial(jax.jit, static_argnames=("spec",))
def channel_zero(feature_bftc, spec):
    mel_btf = phase.mel_power_bft(feature_bftc, spec).swapaxes(1, 2)
    return magnitude.from_bands(mel_btf, jnp.zeros_like(mel_btf), spec.mel, 0.0)


def librosa_griffin_lim(feature_bftc, spec, iterations):
    magnitude_bkt = np.asarray(channel_zero(feature_bftc, spec)).swapaxes(1, 2)
    return librosa.griffinlim(
        magnitude_bkt,
        n_iter=iterations,
        hop_length=spec.hop,
        n_fft=spec.n_fft,
        length=SAMPLES,
        random_state=0,
    )


def methods(iterations):
    """{name: function of audio}, the ways to decode."""
    ways = {}
    for count in iterations:
        for name in phase.FREQUENCIES:
            spec = phase.Spectrogram(frequency=name)
            decode = functools.partial(
                phase.decode, spec=spec, iterations=count, samples=SAMPLES
            )
            ways[f"{name} {count}"] = spec, decode
        decode = functools.partial(no_frequency, spec=spec, iterations=count)
        ways[f"no frequency {count}"] = spec, decode
    decode = functools.partial(librosa_griffin_lim, spec=spec, iterations=32)
    ways["librosa griffinlim 32"] = spec, decode
    return ways


def evaluate(audio_bs, spec, decode):
    """The measures of every recording, [recordings, measures]."""
    rows = []
    for start in range(0, len(audio_bs), BATCH):
        part_bs = audio_bs[start : start + BATCH]
        estimate_bs = decode(phase.encode(part_bs, spec))
        values = [measure(part_bs, estimate_bs) for measure in MEASURES.values()]
        rows.append(np.stack([np.asarray(value_b) for value_b in values], axis=1))
    return np.concatenate(rows)


def show_row(name, values):
    print(f"{name:36}" + "".join(f"{value:12.3f}" for value in values))


def show_groups(names, table):
    """Means by folder, over all, and over what holds no digital silence."""
    groups = sorted({name.split("/")[0] for name in names})
    for group in groups:
        chosen = [name.startswith(group + "/") for name in names]
        show_row(f"  {group} ({sum(chosen)})", table[chosen].mean(0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--every", type=int, default=1, help="of each esc10_4 folder")
    parser.add_argument("--per-clip", action="store_true")
    parser.add_argument("--iterations", type=int, nargs="*", default=[0, 8, 16, 32])
    args = parser.parse_args()
    clips = recordings(args.root, args.every)
    names, audio_bs = list(clips), np.stack(list(clips.values()))
    padded = np.array([is_padded(audio_s) for audio_s in audio_bs])
    print(f"{len(names)} recordings, {padded.sum()} with digital silence")
    print(f"{'':36}" + "".join(f"{name:>12}" for name in MEASURES))
    for name, (spec, decode) in methods(args.iterations).items():
        table = evaluate(audio_bs, spec, decode)
        show_row(name, table.mean(0))
        if name in ("reassigned 32", "circular 32"):
            show_groups(names, table)
            show_row("  without digital silence", table[~padded].mean(0))
        if args.per_clip and name == "reassigned 32":
            for clip, row in zip(names, table, strict=True):
                show_row(f"    {clip}", row)
    print(f"goals: {GOALS}; peak memory {timing.peak_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
