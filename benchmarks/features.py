"""Speed of the features and of their inverse, beside librosa, in one run.

    python -m benchmarks.features [--batch 32] [--rounds 9]

librosa gets the whole batch in one call, which is faster than file by file. Goals on
two CPU cores: features at least twice as fast as librosa; decoding at least 20 times
real time with 32 iterations and 50 times with 8.
"""

import argparse
import functools

import jax
import librosa
import numpy as np

from benchmarks import timing
from distill_jax.audio import features, phase

RATE_HZ = 48_000
SPEC = phase.Spectrogram()


def noise(batch, seconds):
    rng = np.random.default_rng(0)
    shape = batch, round(seconds * RATE_HZ)
    return (0.1 * rng.normal(size=shape)).astype(np.float32)


def librosa_log_mel(audio_bs):
    mel_bft = librosa.feature.melspectrogram(
        y=audio_bs, sr=RATE_HZ, htk=True, norm=None
    )
    return np.log1p(mel_bft / SPEC.epsilon)


def librosa_both(audio_bs, filter_kf):
    """Both channels, with librosa's STFT and NumPy."""
    spectrum_btk = librosa.stft(audio_bs).swapaxes(1, 2)
    power_btk = np.abs(spectrum_btk) ** 2
    mel_btf = power_btk @ filter_kf
    turn_btk = spectrum_btk[:, 1:] * spectrum_btk[:, :-1].conj()
    bin_k = np.arange(1025)
    turn_btk *= np.exp(-0.5j * np.pi * bin_k).astype(np.complex64)
    bins_btk = bin_k + np.pad(np.angle(turn_btk), ((0, 0), (1, 0), (0, 0))) * (
        2 / np.pi
    )
    mean_btf = (power_btk * bins_btk.astype(np.float32)) @ filter_kf / (mel_btf + 1e-8)
    return np.log1p(mel_btf / SPEC.epsilon), mean_btf


def compare_features(batch, rounds):
    audio_bs = noise(batch, 1.0)
    device_bs = jax.device_put(audio_bs)
    filter_kf = features.mel_filters(SPEC.mel)
    calls = {
        "librosa log-mel": lambda: librosa_log_mel(audio_bs),
        "log-mel": lambda: features.log_mel(device_bs, SPEC.mel).block_until_ready(),
        "librosa + NumPy, both channels": lambda: librosa_both(audio_bs, filter_kf),
        "encode, both channels": lambda: phase.encode(
            device_bs, SPEC
        ).block_until_ready(),
    }
    times = timing.in_turns(calls, rounds)
    print(f"\n{batch} clips of 1 s")
    timing.show(times, "clip", batch)
    names = list(calls)
    for reference, ours in ((0, 1), (0, 3), (2, 3)):
        ratio = times[names[reference]].median / times[names[ours]].median
        print(f"{names[ours]} is {ratio:.2f} x as fast as {names[reference]}")


def compare_decode(batch, seconds, rounds):
    feature_bftc = phase.encode(noise(batch, seconds), SPEC)
    decoded = functools.partial(phase.decode, feature_bftc, SPEC)
    calls = {
        f"decode, {count} iterations": lambda count=count: decoded(
            count
        ).block_until_ready()
        for count in (0, 8, 32)
    }
    magnitude_bkt = np.abs(librosa.stft(noise(batch, seconds)))
    calls["librosa griffinlim, 32"] = lambda: librosa.griffinlim(magnitude_bkt)
    times = timing.in_turns(calls, rounds)
    print(f"\n{batch} clips of {seconds:g} s")
    timing.show(times, "s", batch * seconds)
    for name, taken in times.items():
        print(f"{name}: {batch * seconds / taken.median:.0f} x real time")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--long", action="store_true", help="a minute as well")
    args = parser.parse_args()
    compare_features(args.batch, args.rounds)
    compare_decode(8, 1.0, args.rounds)
    compare_decode(1, 1.0, args.rounds)
    compare_decode(1, 10.0, args.rounds)
    print(f"peak memory {timing.peak_memory_mb():.0f} MB")
    if args.long:
        compare_decode(1, 60.0, 1)
        print(f"peak memory {timing.peak_memory_mb():.0f} MB")


if __name__ == "__main__":
    main()
