"""A Wav2Vec2-BERT of full width beside `transformers` with sdpa, on one machine.

    python -m benchmarks.encoder [--layers 24] [--seconds 10,30,60] [--rounds 3]
    python -m benchmarks.encoder --dtype bfloat16 --seconds 10
    python -m benchmarks.encoder --layers 4 --seconds 600 --rounds 0 --ours

Same random weights and input, batch 1, in turns in one process. Shown are seconds, how
many times faster ours is, the share of the rate at which this machine multiplies large
float32 matrices, what the host holds more at its peak during a call, told by the kernel
(Linux), and the largest difference of the result. `--ours` leaves `transformers` out,
which needs the square of the length: over 200 GB at ten minutes.
"""

import argparse
import re
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from distill_jax import folders, train, weights
from distill_jax.models import hf
from distill_jax.step import cast

FRAMES_PER_SECOND = 50
SQUARE = 2048  # of the matrices whose product is the measure
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def models(layers, dtype):
    """Ours and theirs, with the same weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = {"model_type": "wav2vec2-bert", "num_hidden_layers": layers}
    settings = transformers.Wav2Vec2BertConfig(**config)
    theirs = transformers.Wav2Vec2BertModel(settings).eval()
    tensors = {name: x.numpy() for name, x in theirs.state_dict().items()}
    module = hf.from_config(config)
    template = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 160)))
    rules = hf.MODELS["wav2vec2-bert"].checkpoint.rules
    variables = jax.device_put(weights.to_flax(tensors, rules, template))
    return module, cast(variables, dtype), theirs.to(getattr(torch, dtype))


def flops(layers, frames, width=1024, inner=4096):
    """Multiplications and additions of the dense layers and of attention."""
    dense = 2 * 2 * width * inner + 4 * width**2 + 3 * width**2
    return 2 * layers * (frames * dense + 2 * frames**2 * width)


def held_mb(name):
    found = re.search(rf"{name}:\s+(\d+)", STATUS.read_text())
    return int(found[1]) / 1e3


def peak_mb(call):
    """What the process holds more at its peak during a call, in MB."""
    if not CLEAR.exists():
        return float("nan")
    CLEAR.write_text("5")
    before = held_mb("VmRSS")
    call()
    return held_mb("VmHWM") - before


def matmul_rate():
    """Operations per second of large products of float32 matrices."""
    square_nn = jnp.ones((SQUARE, SQUARE))
    product = jax.jit(jnp.matmul)
    times = [
        timing.once(lambda: product(square_nn, square_nn).block_until_ready())
        for _ in range(6)
    ]
    return 2 * SQUARE**3 / min(times)


def calls_of(contenders, seconds, dtype):
    """{name: call that gives the last state of so much noise, float32 [1, t, d]}."""
    import torch

    module, variables, theirs = contenders
    shape = 1, round(seconds * FRAMES_PER_SECOND), 160
    feature_btf = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tensor_btf = torch.tensor(feature_btf).to(getattr(torch, dtype))
    device_btf = jnp.asarray(feature_btf, dtype)
    encode = jax.jit(lambda variables, x_btf: module.apply(variables, x_btf)[0])

    def torch_call():
        with torch.inference_mode():
            return theirs(tensor_btf).last_hidden_state.float().numpy()

    return {
        "ours": lambda: np.asarray(encode(variables, device_btf), np.float32),
        "transformers": torch_call,
    }


class Watched:
    """A call whose newest result is kept, and how much memory it took."""

    def __init__(self, call):
        self.call, self.result, self.peak = call, None, None

    def __call__(self):
        self.peak = peak_mb(self._keep)

    def _keep(self):
        self.result = self.call()


def compare(calls, operations, rounds):
    """One line of figures."""
    calls = {name: Watched(call) for name, call in calls.items()}
    times = timing.in_turns(calls, rounds)
    ours = times["ours"].median
    share = operations / ours / matmul_rate()
    line = f"ours {ours:.2f} s, {share:.0%} of the matrix-multiply rate"
    line += f", peak {calls['ours'].peak:.0f} MB"
    if "transformers" not in calls:
        return line
    other = times["transformers"].median
    apart = np.abs(calls["ours"].result - calls["transformers"].result).max()
    return (
        f"{line}; transformers {other:.2f} s, peak "
        f"{calls['transformers'].peak:.0f} MB; "
        f"{other / ours:.2f} x; largest difference {apart:.1e}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--seconds", default="10,30,60")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--ours", action="store_true", help="leave transformers out")
    args = parser.parse_args()
    train.cache_compilations(folders.cache("xla"))
    started = time.perf_counter()
    contenders = models(args.layers, args.dtype)
    print(f"{args.layers} layers made in {time.perf_counter() - started:.0f} s")
    for seconds in map(float, args.seconds.split(",")):
        calls = calls_of(contenders, seconds, args.dtype)
        if args.ours:
            del calls["transformers"]
        operations = flops(args.layers, round(seconds * FRAMES_PER_SECOND))
        print(f"{seconds:g} s: {compare(calls, operations, args.rounds)}", flush=True)


if __name__ == "__main__":
    main()
