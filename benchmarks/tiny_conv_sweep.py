"""Keyword networks and recipes side by side on three words of Speech Commands.

    python -m benchmarks.tiny_conv_sweep [--candidates full,small] [--seeds 0,1,2]
        [--epochs 60] [--budget-minutes 60] [--runs FOLDER]

Every finished run is a line of RUNS/results.jsonl and is not done again; what was
stopped, by the budget or by Ctrl-C, goes on where it was. Test clips are judged without
noise and with noise at four levels: for every clip a stretch of the last tenth of the
recordings of background noise, of which the first 80 % were trained with.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import numpy as np

from configs.distill import get_config
from distill_jax import detection, main, metrics, student, train
from distill_jax.audio import augment
from distill_jax.data import labelled
from distill_jax.tasks import TASKS, words

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"
LEVELS_DB = (10, 5, 0, -5)
NOISE_SEED = 1234

SMALL = "none,small"
# Name: variant of the config and what is changed in it.
CANDIDATES = {
    "full": ("none", {}),
    "full-10ms": ("none", {"front_end.hop": 160}),
    "full-mixup": ("none", {"mixup": 0.2}),
    "full-hot": ("none", {"learning_rate": 1e-2}),
    "full-unsmoothed": ("none", {"label_smoothing": 0.0}),
    "full-unmasked": ("none", {"masks.times": 0, "masks.bands": 0}),
    "full-rooms": ("none", {"augment.room_probability": 0.25}),
    "depthwise": ("none,depthwise", {}),
    "small": (SMALL, {}),
    "small-10ms": (SMALL, {"front_end.hop": 160}),
    "small-hot": (SMALL, {"learning_rate": 1e-2}),
    "small-unmasked": (SMALL, {"masks.times": 0, "masks.bands": 0}),
    "small-fine": (
        SMALL,
        {
            "model.channels": (16, 32, 32, 48, 48, 48),
            "model.strides": (2, 1, 1, 2, 1, 1),
        },
    ),
    "small-wide": (
        SMALL,
        {"model.channels": (24, 40, 64, 64), "model.strides": (2, 2, 2, 1)},
    ),
}


def config_of(name, seed, options):
    """The config of a candidate."""
    variant, changes = CANDIDATES[name]
    config = get_config(variant)
    config.data.root = str(options.root / "speech_commands_3")
    config.data.noise = str(options.root / "background_noise")
    config.seed = seed
    config.update_from_flattened_dict(changes)
    found, _ = words.corpus(config)
    config.labels = found.labels
    per_epoch = len(found.split("train")) / config.batch
    config.steps = round(options.epochs * per_epoch)
    config.eval_every = config.save_every = round(5 * per_epoch)
    return config


def multiplications(module):
    """Multiply-accumulates of one window."""
    rows, columns = module.size
    depth, total = 1, 0
    for layer in module.plan():
        rows, columns = -(-rows // layer.stride), -(-columns // layer.stride)
        taps = {"conv": 9 * depth, "depthwise": 9, "pointwise": depth}[layer.kind]
        total += rows * columns * layer.features * taps
        depth = layer.features
    return total + depth * module.classes


def accuracies(trained):
    """{"clean" or "N dB": right answers of test clips}, and how many there are."""
    found, recordings = words.corpus(trained.config)
    test = labelled.examples(found, "test", recordings, trained.samples)
    batches = labelled.valid_batches(test, len(test.label_n))
    (batch,) = batches()
    noise_s = labelled.noise(found, "test", recordings)
    rng = np.random.default_rng(NOISE_SEED)
    first_b = rng.integers(0, len(noise_s) - trained.samples, len(test.label_n))
    noise_bs = np.stack([noise_s[at : at + trained.samples] for at in first_b])
    heard = {"clean": batch["audio_bs"]}
    for level_db in LEVELS_DB:
        snr_db_b = np.full(len(first_b), level_db, np.float32)
        heard[f"{level_db} dB"] = augment.mix_at_snr(
            batch["audio_bs"], noise_bs, snr_db_b
        )
    right = {
        name: int(np.sum(student.scores(trained, audio_bs).argmax(1) == test.label_n))
        for name, audio_bs in heard.items()
    }
    return right, len(test.label_n)


def trained(config, workdir, until):
    """Trains a job; seconds of this start, None if the time was over before the end."""
    task = TASKS[config.task]
    data = task.data(config)
    steps = train.train(config, task.make(config), data, workdir)
    start, step = time.perf_counter(), 0
    with metrics.Writer(workdir, task.rate_hz(config), config.log_every) as writer:
        for step, values in steps:
            writer.write(step, values)
            if time.perf_counter() > until and step < config.steps:
                steps.close()
                return None
    return round(time.perf_counter() - start)


def run(name, seed, options, until):
    """Trains and judges a candidate; None if the time was over before it was done."""
    config = config_of(name, seed, options)
    workdir = options.runs / f"{name}-{options.epochs}-{seed}"
    seconds = trained(config, workdir, until)
    if seconds is None:
        return None
    results = {}
    for which in ("best", "latest"):
        network = student.load(workdir, which)
        results[which], clips = accuracies(network)
    leaves = jax.tree.leaves(network.variables["params"])
    return {
        "candidate": name,
        "seed": seed,
        "epochs": options.epochs,
        "parameters": sum(leaf.size for leaf in leaves),
        "multiplications": multiplications(network.module),
        "seconds_of_last_start": seconds,
        "clips": clips,
        **results,
    }


def done_before(path):
    """{(candidate, seed, epochs): record}."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return {(r["candidate"], r["seed"], r["epochs"]): r for r in records}


def show(records):
    """Prints a row for every candidate, the mean over its seeds."""
    groups = {}
    for record in records:
        groups.setdefault((record["candidate"], record["epochs"]), []).append(record)
    columns = ["clean", *(f"{level} dB" for level in LEVELS_DB)]
    print(f"{'candidate':18} epochs seeds  params   MACs   " + "  ".join(columns))
    for (name, epochs), group in groups.items():
        first = group[0]
        cells = []
        for column in columns:
            shares = [100 * r["latest"][column] / r["clips"] for r in group]
            spread = f"±{statistics.stdev(shares):.1f}" if len(shares) > 1 else ""
            cells.append(f"{statistics.mean(shares):.1f}{spread}")
        low, high = detection.wilson(first["latest"]["clean"], first["clips"])
        print(
            f"{name:18} {epochs:6} {len(group):5} {first['parameters']:7,}"
            f" {first['multiplications'] / 1e6:5.2f}M  {'  '.join(cells)}"
            f"  (first seed, clean, 95 %: {100 * low:.1f} to {100 * high:.1f})"
        )


def chosen(options):
    names = options.candidates.split(",") if options.candidates else list(CANDIDATES)
    unknown = [name for name in names if name not in CANDIDATES]
    if unknown:
        raise SystemExit(f"unknown: {unknown}; there are {', '.join(CANDIDATES)}")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    # Seeds outside: with little time every candidate is seen once first.
    return [(name, seed) for seed in seeds for name in names]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", default="", help="names; all if not given")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--budget-minutes", type=float, default=60.0)
    parser.add_argument("--runs", type=Path, default=Path("runs/sweep"))
    parser.add_argument("--root", type=Path, default=RECORDINGS)
    return parser.parse_args()


@main.said()
def sweep():
    options = parsed()
    options.runs.mkdir(parents=True, exist_ok=True)
    train.cache_compilations(options.runs / "xla")
    path = options.runs / "results.jsonl"
    records = done_before(path)
    until = time.perf_counter() + 60 * options.budget_minutes
    for name, seed in chosen(options):
        key = name, seed, options.epochs
        if key in records:
            continue
        record = (
            run(name, seed, options, until) if time.perf_counter() < until else None
        )
        if record is None:
            print("time is over; give the same command again to go on")
            break
        records[key] = record
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), flush=True)
    show(records.values())


if __name__ == "__main__":
    sweep()
