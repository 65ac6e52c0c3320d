"""Speed of streaming evaluation, beside what a user would write, in one run.

    python -m benchmarks.streaming [--seconds 60] [--rounds 5]

TinyConv of 60.6 thousand parameters, windows of 1 s, a score every 20 ms. The
alternative computes each window's log-mel with librosa and runs the same network in
torch, window by window. All run on one core; times are of the processor, so that
other work on the machine counts less. Goal: 500 times real time.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import statistics
import time
import warnings

import jax
import librosa
import numpy as np
import torch
from torch import nn

from distill_jax import classifier, streaming, student
from distill_jax.audio import front_end
from distill_jax.models.tiny_conv import TinyConv

FRONT = front_end.FrontEnd()
WINDOW = 16_000
# Of the loop over windows, which is slow.
FEW_SECONDS = 4


def made():
    """A `Student` of random weights."""
    module, rng = TinyConv(classes=3), np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.zeros((1, 49, 40)))

    def draw(path, leaf):
        if path[-1].key == "var":
            return np.float32(rng.uniform(0.5, 2.0, leaf.shape))
        # So wide that activations neither die nor grow from layer to layer.
        width = 1.5 / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        width = 0.02 if path[-2].key == "dense" else width
        return np.float32(rng.normal(0, width, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    labels = ("word", "unknown", "silence")
    return student.Student(None, labels, FRONT, WINDOW, module, variables)


def in_torch(trained):
    """The same network, as a user of torch has it."""
    layers, variables = [], trained.variables
    for number, layer in enumerate(trained.module.plan()):
        kernel = torch.tensor(variables["params"][f"conv_{number}"]["kernel"])
        depth, features = kernel.shape[2:]
        conv = nn.Conv2d(depth, features, 3, layer.stride, 1, bias=False)
        conv.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
        norm = nn.BatchNorm2d(features)
        norm.load_state_dict(
            {
                "weight": torch.tensor(variables["params"][f"norm_{number}"]["scale"]),
                "bias": torch.tensor(variables["params"][f"norm_{number}"]["bias"]),
                "running_mean": torch.tensor(
                    variables["batch_stats"][f"norm_{number}"]["mean"]
                ),
                "running_var": torch.tensor(
                    variables["batch_stats"][f"norm_{number}"]["var"]
                ),
                "num_batches_tracked": torch.tensor(0),
            }
        )
        layers += [conv, norm, nn.ReLU()]
    dense = nn.Linear(64, 3)
    dense.weight.data = torch.tensor(variables["params"]["dense"]["kernel"]).T
    dense.bias.data = torch.tensor(variables["params"]["dense"]["bias"])
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, pool, nn.Flatten(), dense, nn.Softmax(1)).eval()


def loop(model, filter_fk, audio_s):
    """Every window on its own: librosa's STFT, the bands, the network."""
    found, side = [], (FRONT.n_fft - FRONT.window) // 2
    with torch.no_grad():
        for start in range(0, len(audio_s) - WINDOW + 1, FRONT.hop):
            spectrum_kt = librosa.stft(
                # librosa puts the Hann window in the middle of the n_fft samples.
                np.pad(audio_s[start : start + WINDOW], side),
                n_fft=FRONT.n_fft,
                hop_length=FRONT.hop,
                win_length=FRONT.window,
                center=False,
            )
            power_ft = filter_fk @ np.abs(spectrum_kt) ** 2
            feature_ft = FRONT.scale * (np.log(power_ft + FRONT.floor) + FRONT.shift)
            feature_11tf = torch.tensor(feature_ft.T[None, None], dtype=torch.float32)
            found.append(model(feature_11tf)[0, 0].item())
    return np.array(found)


def detect(scorer, audio_s):
    settings = streaming.Settings(threshold=2.0, step=1, smooth=1)
    return streaming.Detector(scorer, settings).feed(audio_s)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    trained = made()
    rng = np.random.default_rng(1)
    level_s = np.repeat(10 ** rng.uniform(-4, 0, 4 * options.seconds), 4000)
    long_s = (level_s * rng.normal(0, 0.3, len(level_s))).astype(np.float32)
    short_s = long_s[: FEW_SECONDS * FRONT.rate_hz]
    scorer, model = classifier.scorer(student.classifier(trained), 0), in_torch(trained)
    alone = scorer._replace(along=None)
    mel = FRONT.mel
    filter_fk = librosa.filters.mel(
        sr=mel.rate_hz,
        n_fft=mel.n_fft,
        n_mels=mel.mels,
        fmin=FRONT.low_hz,
        fmax=FRONT.high_hz,
        htk=True,
        norm=None,
    )
    expected_n = loop(model, filter_fk, short_s)
    calls = {
        "librosa and torch, window by window": (
            lambda: loop(model, filter_fk, short_s),
            FEW_SECONDS,
        ),
        "batches of windows": (
            lambda: streaming.scores(alone, long_s, 1),
            options.seconds,
        ),
        "slid along": (lambda: streaming.scores(scorer, long_s, 1), options.seconds),
        "slid along, every 40 ms": (
            lambda: streaming.scores(scorer, long_s, 2),
            options.seconds,
        ),
        "Detector, frame by frame": (lambda: detect(scorer, short_s), FEW_SECONDS),
    }
    taken = {name: [] for name in calls}
    for number in range(options.rounds + 1):
        for name, (call, _) in calls.items():
            start = time.process_time()
            call()
            # The first round compiles.
            taken[name] += [time.process_time() - start] * (number > 0)
    first = statistics.median(taken["librosa and torch, window by window"])
    print(f"{'':36} {'x real time':>12} {'most':>8} {'ratio':>8}")
    for name, (_, seconds) in calls.items():
        middle, least = statistics.median(taken[name]), min(taken[name])
        ratio = first / FEW_SECONDS / (middle / seconds)
        print(f"{name:36} {seconds / middle:12.1f} {seconds / least:8.1f} {ratio:8.1f}")
    for name, one in (("slid along", scorer), ("batches of windows", alone)):
        found_n, _ = streaming.scores(one, short_s, 1)
        worst = np.abs(found_n[: len(expected_n)] - expected_n).max()
        print(f"{name}: scores differ from the loop by at most {worst:.2e}")
    low, high = expected_n.min(), expected_n.max()
    print(f"scores lie between {low:.3f} and {high:.3f}")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
