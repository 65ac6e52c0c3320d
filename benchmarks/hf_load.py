"""Time and memory to load and to export a checkpoint, beside `transformers`.

    python -m benchmarks.hf_load [--mb 200] [--dtype float32] [--rounds 3]

A Wav2Vec2-BERT of about that size with random weights is written by
`save_pretrained`. Each contender loads it in a process of its own, in turns, the
file being in the page cache, after a tiny model has been loaded, and then touches
every page of it: mapped files are read no sooner. Export waits for the disk, which
`save_pretrained` does not. Peak memory is what the host holds above what it held
before, told by the kernel; 1.00 is the size of the loaded variables.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from distill_jax import weights
from distill_jax.weights import folder

CONTENDERS = ("ours", "transformers")
AXES = {1: "d -> d", 2: "io -> oi", 3: "wio -> oiw"}


def write(path, mb):
    """A random model of about `mb` in float32: layers of full width, or of 256."""
    import torch
    import transformers

    width = 1024 if mb >= 100 else 256
    layer_mb = 24.1 * 4 * (width / 1024) ** 2
    torch.manual_seed(0)
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        output_hidden_size=width,
        num_hidden_layers=max(1, round(mb / layer_mb)),
    )
    transformers.Wav2Vec2BertModel(config).save_pretrained(path)


def table(path):
    """A table and a template of any checkpoint, its names cut at the dots."""
    tensors = folder.read(path).tensors
    rules, template = {}, {}
    for name, tensor in tensors.items():
        *modules, leaf = name.split(".")
        tree = template
        for module in modules:
            tree = tree.setdefault(module, {})
        tree[leaf] = jax.ShapeDtypeStruct(tensor.shape[::-1], jnp.float32)
        row = re.sub(r"\.\d+\.", ".{i}.", name)
        rules[row] = row, row.replace(".", "/"), weights.bare(AXES[len(tensor.shape)])
    return tuple(rules.values()), {"params": template}


def memory_mb(field):
    """A figure of the kernel on this process, such as VmRSS or its peak VmHWM."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", text)[1]) / 1e3


def measured(call):
    """What a call gives, its seconds, and its peak memory above that before, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # Begins the peak anew.
    before, begun = memory_mb("VmRSS"), time.perf_counter()
    result = call()
    seconds = time.perf_counter() - begun
    return result, seconds, memory_mb("VmHWM") - before


def touch(arrays):
    """Reads a byte of every page."""
    return sum(int(array.reshape(-1).view(np.uint8)[::4096].sum()) for array in arrays)


def load_ours(path, out, dtype):
    options = weights.Options(dtype=dtype)

    def load(path):
        tree, report = weights.load(path, *table(path), options)
        touch(map(np.asarray, jax.tree.leaves(tree)))
        return tree, report

    load(path.with_name("tiny"))
    rules, _ = table(path)
    (tree, report), seconds, peak = measured(lambda: load(path))
    _, export_seconds, export_peak = measured(
        lambda: weights.export(out, tree, rules, weights.read_config(path))
    )
    return seconds, peak, export_seconds, export_peak, report.bytes / 1e6


def load_theirs(path, out, dtype):
    import torch
    import transformers

    kind = transformers.Wav2Vec2BertModel

    def load(path):
        model = kind.from_pretrained(path, dtype=getattr(torch, dtype))
        tensors = model.state_dict().values()
        touch(tensor.view(torch.uint8).numpy() for tensor in tensors)
        return model

    load(path.with_name("tiny"))
    model, seconds, peak = measured(lambda: load(path))
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    _, export_seconds, export_peak = measured(lambda: model.save_pretrained(out))
    return seconds, peak, export_seconds, export_peak, size / 1e6


def child(contender, path, dtype):
    """One round in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.hf_load", "--dtype", dtype]
    command += ["--contender", contender, "--path", str(path)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def show(rounds):
    print(
        f"{'':14} {'load s':>7} {'peak MB':>8} {'of it':>6} {'export s':>9} {'MB':>6}"
    )
    for name, figures in rounds.items():
        columns = [statistics.median(column) for column in zip(*figures, strict=True)]
        seconds, peak, export_seconds, export_peak, size = columns
        print(
            f"{name:14} {seconds:7.2f} {peak:8.0f} {peak / size:6.2f} "
            f"{export_seconds:9.2f} {export_peak:6.0f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        if options.contender:
            run = {"ours": load_ours, "transformers": load_theirs}[options.contender]
            print(json.dumps(run(options.path, Path(home, "out"), options.dtype)))
            return
        path = Path(home, "model")
        write(path, options.mb)
        write(path.with_name("tiny"), 1)
        rounds = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name in CONTENDERS:
                rounds[name].append(child(name, path, options.dtype))
        size = sum(tensor.size for tensor in folder.read(path).tensors.values()) / 1e6
    print(f"{size:.0f} MB on disk, loaded as {options.dtype}")
    show(rounds)


if __name__ == "__main__":
    main()
