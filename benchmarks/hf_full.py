"""The full-size w2v-BERT 2.0: loaded, run and exported, beside `transformers`.

    python -m benchmarks.hf_full [--layers 24] [--rounds 3] [--state warm]

`save_pretrained` writes a model with random weights (2.3 GB, and as much for each
export, in a temporary folder). Each contender loads it in a process of its own, in
turns, after a tiny model has been loaded, from the folder to variables that can be
run: config, model or template, and tensors, every page of which is then touched.

States (Linux): "warm", the file is in the page cache, and as much memory as the model
takes has just been held and let go; "fresh", memory has not been held, which a virtual
machine that gives idle memory back to its host pays for; "cold", the file is not in the
page cache either. Memory a process holds above what it held before is told by the
kernel; 1.00 is the size of the variables.

Then a second of input is run, and in the last round both export to files that are on
the disk when the clock stops. It fails unless the results differ by less than 1e-4,
every exported tensor has the bytes of the original, and `from_pretrained` takes the
export with nothing missing, unexpected or misshaped.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.hf_load import measured, touch
from distill_jax import semantic, weights
from distill_jax.models import hf
from distill_jax.weights import folder
from distill_jax.weights.reading import Reader, empty

CONTENDERS = ("ours", "transformers")
STATES = ("warm", "fresh", "cold")
TOLERANCE = 1e-4
FRAMES = 50


def write(path, layers):
    import torch
    import transformers

    torch.manual_seed(0)
    tiny = {"hidden_size": 64, "intermediate_size": 64, "output_hidden_size": 64}
    for name, sizes in (("model", {"num_hidden_layers": layers}), ("tiny", tiny)):
        config = transformers.Wav2Vec2BertConfig(**sizes)
        transformers.Wav2Vec2BertModel(config).save_pretrained(path / name)
    os.sync()


def prepare(path, state):
    """Brings the file and memory into a state."""
    file = path / folder.FILE
    with file.open("rb", buffering=0) as opened:
        if state == "cold":
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return
        while opened.read(1 << 24):
            pass
    if state == "warm":
        chunks = [empty((1 << 24,), np.uint8) for _ in range(file.stat().st_size >> 24)]
        for chunk in chunks:
            chunk[::4096] = 1


def features():
    return np.random.default_rng(0).normal(size=(1, FRAMES, 160)).astype(np.float32)


def ours(path):
    """Loads, and gives the pages of the tensors, a forward and an export."""
    config = weights.read_config(path)
    checkpoint = hf.MODELS[config["model_type"]].checkpoint
    variables, report = weights.load(path, checkpoint, semantic.template(config))
    touch(map(np.asarray, jax.tree.leaves(variables)))

    def forward():
        module = hf.from_config(config)
        call = jax.jit(lambda variables, x_btf: module.apply(variables, x_btf)[0])
        return np.asarray(call(variables, features()))

    def export(out):
        weights.export(out, variables, checkpoint, config)

    return forward, export, report.bytes


def theirs(path):
    import torch
    import transformers

    model = transformers.Wav2Vec2BertModel.from_pretrained(path).eval()
    tensors = model.state_dict().values()
    touch(tensor.view(torch.uint8).numpy() for tensor in tensors)

    def forward():
        with torch.inference_mode():
            return model(torch.tensor(features())).last_hidden_state.numpy()

    def export(out):
        model.save_pretrained(out)
        with (out / folder.FILE).open("rb") as file:
            os.fsync(file.fileno())

    return forward, export, sum(tensor.nbytes for tensor in tensors)


def contend(contender, home, state, last):
    """One round, in this process; prints its figures."""
    load = {"ours": ours, "transformers": theirs}[contender]
    load(home / "tiny")
    prepare(home / "model", state)
    begun = time.process_time()
    (forward, export, size), seconds, peak = measured(lambda: load(home / "model"))
    figures = {"load s": seconds, "CPU s": time.process_time() - begun}
    figures |= {"peak MB": peak, "of it": peak * 1e6 / size}
    result_btd, figures["first forward s"], _ = measured(forward)
    np.save(home / f"{contender}.npy", result_btd)
    if last:
        out = home / f"from_{contender}"
        _, figures["export s"], figures["export MB"] = measured(lambda: export(out))
    print(json.dumps(figures))


def child(*arguments):
    """Another process of this benchmark, and the last line that it prints."""
    command = [sys.executable, "-m", "benchmarks.hf_full", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def accept(path):
    """Has `transformers` load an export; prints what it found amiss."""
    import transformers

    kind = transformers.Wav2Vec2BertModel
    _, told = kind.from_pretrained(path, output_loading_info=True)
    print(json.dumps({name: sorted(map(str, found)) for name, found in told.items()}))


def same_bytes(one, other):
    """Compares two checkpoints tensor by tensor; gives how many there are."""
    one, other = folder.read(one).tensors, folder.read(other).tensors
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    with Reader() as reader:
        for name, tensor in one.items():
            assert tensor[1:3] == other[name][1:3], name
            pair = reader.read(tensor), reader.read(other[name])
            assert np.array_equal(*(array.view(np.uint8) for array in pair)), name
    return len(one)


def check(home):
    """Holds the last round's results and export against the original."""
    results = [np.load(home / f"{name}.npy") for name in CONTENDERS]
    apart = np.abs(results[0] - results[1]).max()
    assert apart < TOLERANCE, f"the results differ by {apart}"
    count = same_bytes(home / "model", home / "from_ours")
    told = json.loads(child("--accept", home / "from_ours"))
    assert not any(told.values()), told
    print(f"results differ by {apart:.1e}, of {np.abs(results[1]).max():.1f} at most")
    print(f"{count} exported tensors have the bytes of the original")
    print(f"from_pretrained takes the export: {told}")


def show(rounds):
    for name, figures in rounds.items():
        medians = {
            key: statistics.median(one[key] for one in figures if key in one)
            for key in figures[-1]
        }
        print(name, ", ".join(f"{key} {value:.2f}" for key, value in medians.items()))
    pairs = zip(*rounds.values(), strict=True)
    ratios = [theirs["load s"] / ours["load s"] for ours, theirs in pairs]
    print("theirs / ours to load, each round:", ", ".join(f"{x:.2f}" for x in ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", choices=STATES, default="warm")
    for flag in ("--write", "--accept", "--home"):
        parser.add_argument(flag, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--last", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        return write(options.write, options.layers) or print()
    if options.accept:
        return accept(options.accept)
    if options.contender:
        return contend(options.contender, options.home, options.state, options.last)
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        child("--write", home, "--layers", options.layers)
        rounds = {name: [] for name in CONTENDERS}
        for number in range(options.rounds):
            last = ["--last"] * (number == options.rounds - 1)
            for name in CONTENDERS:
                flags = ("--contender", name, "--state", options.state, *last)
                rounds[name].append(json.loads(child("--home", home, *flags)))
        size = (home / "model" / folder.FILE).stat().st_size / 1e6
        print(f"{size:.0f} MB on disk, {options.state}, {options.rounds} rounds")
        show(rounds)
        check(home)


if __name__ == "__main__":
    main()
