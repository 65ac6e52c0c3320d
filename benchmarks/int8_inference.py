"""Time of one window in INT8 files beside the same network in float32, on one thread.

    python -m benchmarks.int8_inference [--rounds 15] [--windows 100] [--seconds 60]

TinyConv 16-32-64-64, full and depthwise, with random weights: LiteRT (XNNPACK) and ONNX
Runtime on our files and on float32 files of the same network with batch norm folded,
and JAX. Then long sound, a score every 20 ms, by `streaming.scores` and `Detector`.
Contenders take turns; times are of the processor, so that other work on the machine
counts less. Every file is first held against the reference, or JAX.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import onnxruntime
from ai_edge_litert import interpreter

from benchmarks import float_files, timing
from distill_jax import classifier, export, exported, quant, streaming
from distill_jax.audio import front_end
from distill_jax.export import runtimes
from distill_jax.models.tiny_conv import TinyConv

FRONT, WINDOW, LABELS = front_end.FrontEnd(), 16_000, ("word", "unknown", "silence")
NETWORKS = {"full": TinyConv(3), "depthwise": TinyConv(3, use_depthwise=True)}


def sound(seconds):
    """Noise whose level changes four times a second."""
    rng = np.random.default_rng(1)
    level_s = np.repeat(10 ** rng.uniform(-4, 0, 4 * seconds), FRONT.rate_hz // 4)
    return (level_s * rng.normal(0, 0.3, len(level_s))).astype(np.float32)


def drawn(module):
    """Variables so wide that activations neither die nor grow from layer to layer."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(
        module.init, jax.random.key(0), np.zeros((1, *module.size), np.float32)
    )

    def draw(path, leaf):
        if path[-1].key == "var":
            return np.float32(rng.uniform(0.5, 2.0, leaf.shape))
        width = 1.5 / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        return np.float32(rng.normal(0, width, leaf.shape))

    return jax.tree_util.tree_map_with_path(draw, shapes)


def in_litert(content):
    """A float .tflite file: a function of one window."""
    run = interpreter.Interpreter(model_content=content, num_threads=1)
    run.allocate_tensors()
    source, result = (
        each[0]["index"] for each in (run.get_input_details(), run.get_output_details())
    )

    def one(feature_btf):
        run.set_tensor(source, feature_btf[..., None])
        run.invoke()
        return run.get_tensor(result)

    return one


def in_onnxruntime(content):
    """A float .onnx file: a function of windows."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    return lambda x_btf: session.run(None, {"features": x_btf[..., None]})[0]


def contenders(module, windows):
    """{name: function of a window}, what each is given, and the integer files."""
    variables = drawn(module)
    ranges = quant.ranges.calibrated(module, variables, [windows])
    model = quant.frozen(module, {**variables, "ranges": ranges})
    card = export.Card("random", 0, LABELS, FRONT, WINDOW)
    files = {form: export.content(form, model, card) for form in ("tflite", "onnx")}
    floats = float_files.folded(module, variables)
    apply = jax.jit(lambda variables, x_btf: module.apply(variables, x_btf)[0])
    in_jax = partial(apply, jax.device_put(variables))
    codes = quant.encode(windows, model.input)
    found = {
        "LiteRT, INT8": (runtimes.litert(files["tflite"]), codes),
        "LiteRT, float32": (in_litert(float_files.in_tflite(floats)), windows),
        "ONNX Runtime, INT8": (runtimes.onnx(files["onnx"]), codes),
        "ONNX Runtime, float32": (in_onnxruntime(float_files.in_onnx(floats)), windows),
        "JAX, float32": (lambda x_btf: np.asarray(in_jax(x_btf)), windows),
    }
    check(found, model, codes)
    return found, (model, card)


def check(found, model, codes):
    """Raises ValueError unless all give what they should."""
    code_bc, _ = quant.reference.run(model, codes)
    expected = {name: code_bc for name in found if "INT8" in name}
    run, windows = found["JAX, float32"]
    float_bc = run(windows)
    for name, (run, given) in found.items():
        got_bc = np.concatenate([run(x_tf[None]) for x_tf in given])
        wanted_bc = expected.get(name, float_bc)
        apart = np.abs(np.float64(got_bc) - wanted_bc).max()
        if apart > (0 if name in expected else 1e-4 * np.abs(float_bc).max()):
            raise ValueError(f"{name} is off by {apart}")


def each(run, given):
    """One window after the other."""
    for x_tf in given:
        run(x_tf[None])


def of_windows(found, rounds):
    """Prints microseconds per window."""
    calls = {name: partial(each, *pair) for name, pair in found.items()}
    for name in ("ONNX Runtime, INT8", "ONNX Runtime, float32", "JAX, float32"):
        run, given = found[name]
        calls[f"{name}, all windows at once"] = partial(run, given)
    times = timing.in_turns(calls, rounds, time.process_time)
    count = len(found["JAX, float32"][1])
    print(f"  {'µs per window':44} {'median':>8} {'least':>8} {'most':>8}")
    for name, taken in times.items():
        micro = [1e6 * value / count for value in taken[1:]]
        print(f"  {name:44} {micro[0]:8.1f} {micro[1]:8.1f} {micro[2]:8.1f}")


def detect(scorer, audio_s, size):
    """Feeds a detector blocks of so many samples."""
    detector = streaming.Detector(scorer, streaming.Settings(2.0, 1, smooth=1))
    for start in range(0, len(audio_s), size):
        detector.feed(audio_s[start : start + size])


def of_sound(model, card, options):
    """Prints how many times faster than real time long sound is heard."""
    audio_s, calls = sound(options.seconds), {}
    block = streaming.AT_ONCE * FRONT.hop
    with tempfile.TemporaryDirectory() as folder:
        paths = export.write(Path(folder), model, card, ["tflite", "onnx", "npz"])
        known = {form: exported.load(path) for form, path in paths.items()}
    scorers = {form: classifier.scorer(each, 0) for form, each in known.items()}
    for form, scorer in scorers.items():
        calls[f"scores, .{form}"] = partial(streaming.scores, scorer, audio_s, 1)
    scorer = scorers["tflite"]
    calls["Detector, .tflite, as of a file"] = partial(detect, scorer, audio_s, block)
    calls["Detector, .tflite, a frame at a time"] = partial(
        detect, scorer, audio_s, FRONT.hop
    )
    times = timing.in_turns(calls, max(2, options.rounds // 5), time.process_time)
    print(f"  {'times real time, a score every 20 ms':44} {'median':>8} {'most':>8}")
    for name, taken in times.items():
        fast = options.seconds / taken.median, options.seconds / taken.least
        print(f"  {name:44} {fast[0]:8.1f} {fast[1]:8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    heard_s = sound(options.windows + 1)[: options.windows * WINDOW]
    windows = np.asarray(front_end.log_mel(heard_s.reshape(-1, WINDOW), FRONT))
    for name, module in NETWORKS.items():
        found, (model, card) = contenders(module, windows)
        print(f"{name}: {quant.integer.parameters(model):,} weights", flush=True)
        of_windows(found, options.rounds)
        of_sound(model, card, options)


if __name__ == "__main__":
    main()
