"""The features of Wav2Vec2-BERT beside the extractor of `transformers`.

    python -m benchmarks.kaldi [--clips 32] [--seconds 10] [--rounds 5]

All get the whole batch in one call. `exact` runs in float64 on the host, `fast` in
float32 on the device; the largest difference from `transformers` is shown for both.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from distill_jax.audio import kaldi

RATE_HZ = 16_000
BANK = kaldi.Filterbank()


def speech(clips, seconds):
    """Noise in bursts with pauses."""
    rng = np.random.default_rng(0)
    samples = round(seconds * RATE_HZ)
    loud_s = 0.02 + np.square(np.sin(np.arange(samples) / 2300))
    return (0.1 * rng.normal(size=(clips, samples)) * loud_s).astype(np.float32)


def main():
    import transformers

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    audio_bs = speech(args.clips, args.seconds)
    extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1)
    device_bs, length_b = jnp.asarray(audio_bs), jnp.full(args.clips, audio_bs.shape[1])
    calls = {
        "transformers": lambda: extractor(
            list(audio_bs), sampling_rate=RATE_HZ, return_tensors="np"
        )["input_features"],
        "exact": lambda: kaldi.exact(audio_bs, BANK)[0],
        "fast": lambda: jax.block_until_ready(kaldi.fast(device_bs, length_b, BANK)[0]),
    }
    times = timing.in_turns(calls, args.rounds)
    timing.show(times, "clip", args.clips)
    expected_btf = calls["transformers"]()
    for name in ("exact", "fast"):
        ratio = times["transformers"].median / times[name].median
        error_btf = np.abs(np.asarray(calls[name]()) - expected_btf)
        print(f"{name}: {ratio:.1f} x as fast, off by {error_btf.max():.1e} at most")


if __name__ == "__main__":
    main()
