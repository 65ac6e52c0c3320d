"""A Wav2Vec2-BERT of full width beside `transformers` with sdpa, on one machine.

    python -m benchmarks.encoder [--layers 24] [--seconds 10,30,60] [--rounds 3]
    python -m benchmarks.encoder --dtype bfloat16 --seconds 10
    python -m benchmarks.encoder --layers 4 --seconds 600 --rounds 0 --ours
    python -m benchmarks.encoder --device cuda --dtype bfloat16 --batch 32

Same random weights and input, in turns in one process. Shown are seconds, how many
times faster ours is, the share of the rate at which this machine multiplies large
matrices of that type, what the host, told by the kernel (Linux), or the GPU holds more
at its peak during a call, and the largest difference of the result. Both may multiply
float32 matrices of a GPU in TF32, but for `--exact`. `--ours` leaves `transformers`
out, which needs the square of the length: over 200 GB at ten minutes.
"""

import argparse
import functools
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
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def models(args):
    """Ours and theirs, with the same weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = (
        torch.backends.cudnn.allow_tf32
    ) = not args.exact
    jax.config.update("jax_default_matmul_precision", "highest" if args.exact else None)
    config = {"model_type": "wav2vec2-bert", "num_hidden_layers": args.layers}
    settings = transformers.Wav2Vec2BertConfig(**config)
    theirs = transformers.Wav2Vec2BertModel(settings).eval()
    tensors = {name: x.numpy() for name, x in theirs.state_dict().items()}
    module = hf.from_config(config)
    template = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 160)))
    rules = hf.MODELS["wav2vec2-bert"].checkpoint.rules
    variables = jax.device_put(weights.to_flax(tensors, rules, template))
    theirs = theirs.to(args.device, getattr(torch, args.dtype))
    return module, cast(variables, args.dtype), theirs


def flops(layers, frames, width=1024, inner=4096):
    """Multiplications and additions of the dense layers and of attention."""
    dense = 2 * 2 * width * inner + 4 * width**2 + 3 * width**2
    return 2 * layers * (frames * dense + 2 * frames**2 * width)


def held_mb(name):
    found = re.search(rf"{name}:\s+(\d+)", STATUS.read_text())
    return int(found[1]) / 1e3


def host_peak_mb(call):
    """What the process holds more at its peak during a call, in MB."""
    if not CLEAR.exists():
        return float("nan")
    CLEAR.write_text("5")
    before = held_mb("VmRSS")
    call()
    return held_mb("VmHWM") - before


def torch_peak_mb(call):
    """The same of the GPU, in PyTorch; it waits for the end."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def planned_mb(compiled, call):
    """The same of a GPU, as the compiler sets it aside for a program of JAX."""
    call()
    plan = compiled.memory_analysis()
    return (plan.temp_size_in_bytes + plan.output_size_in_bytes) / 1e6


class Watched:
    """A call whose newest result is kept, and how much memory it took.

    Attributes:
      result: of the newest call.
      peak: what it held more at most, in MB.
    """

    def __init__(self, call, peak_mb):
        self.call, self.peak_mb = call, peak_mb
        self.result = self.peak = None

    def __call__(self):
        self.peak = self.peak_mb(self._keep)

    def _keep(self):
        self.result = self.call()


def calls_of(contenders, seconds, args):
    """{name: `Watched`, which gives the last state of so much noise, [b, t, d]}."""
    import torch

    module, variables, theirs = contenders
    shape = args.batch, round(seconds * FRAMES_PER_SECOND), 160
    feature_btf = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tensor_btf = torch.tensor(feature_btf).to(args.device, getattr(torch, args.dtype))
    given = variables, jnp.asarray(feature_btf, args.dtype)
    encode = jax.jit(lambda variables, x_btf: module.apply(variables, x_btf)[0])
    compiled = encode.lower(*given).compile()

    def torch_call():
        with torch.inference_mode():
            return theirs(tensor_btf).last_hidden_state

    peaks = host_peak_mb, host_peak_mb
    if args.device == "cuda":
        peaks = functools.partial(planned_mb, compiled), torch_peak_mb
    return {
        "ours": Watched(lambda: compiled(*given).block_until_ready(), peaks[0]),
        "transformers": Watched(torch_call, peaks[1]),
    }


def compare(calls, operations, args):
    """One line of figures."""
    times = timing.in_turns(calls, args.rounds)
    ours = times["ours"].median
    rate = timing.matmul_rate(args.dtype)
    line = f"ours {ours:.4f} s, {operations / ours / rate:.0%} of "
    line += f"{rate / 1e12:.3g} Tflop/s, peak {calls['ours'].peak:.0f} MB"
    if "transformers" not in calls:
        return line
    other = times["transformers"].median
    theirs_btd = calls["transformers"].result.float().cpu().numpy()
    apart = np.abs(np.asarray(calls["ours"].result, np.float32) - theirs_btd).max()
    return (
        f"{line}; transformers {other:.4f} s, peak "
        f"{calls['transformers'].peak:.0f} MB; "
        f"{other / ours:.2f} x; largest difference {apart:.1e}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--seconds", default="10,30,60")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--exact", action="store_true", help="no TF32 on a GPU")
    parser.add_argument("--ours", action="store_true", help="leave transformers out")
    args = parser.parse_args()
    train.cache_compilations(folders.cache("xla"))
    started = time.perf_counter()
    contenders = models(args)
    print(f"{args.layers} layers made in {time.perf_counter() - started:.0f} s")
    for seconds in map(float, args.seconds.split(",")):
        calls = calls_of(contenders, seconds, args)
        if args.ours:
            del calls["transformers"]
        frames = round(seconds * FRAMES_PER_SECOND)
        operations = args.batch * flops(args.layers, frames)
        print(f"{seconds:g} s: {compare(calls, operations, args)}", flush=True)


if __name__ == "__main__":
    main()
