"""Keyword networks and recipes side by side on three words of Speech Commands.

    python -m benchmarks.tiny_conv_sweep [--candidates full,small] [--seeds 0,1,2]
        [--epochs 60] [--budget-minutes 60] [--runs FOLDER]

Every finished run is a line of RUNS/results.jsonl and is not done again; what was
stopped, by the budget or by Ctrl-C, goes on where it was. `seeds` tells how test clips
are judged.
"""

import jax

from benchmarks import seeds
from configs.distill import get_config
from distill_jax import detection, main, student
from distill_jax.tasks import words

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


def run(key, options, until):
    """Trains and judges a candidate; None if the time was over before it was done."""
    name, seed, _ = key
    config = config_of(name, seed, options)
    workdir = options.runs / f"{name}-{options.epochs}-{seed}"
    seconds = seeds.trained(config, workdir, until)
    if seconds is None:
        return None
    results = {}
    for which in ("best", "latest"):
        network = student.load(workdir, which)
        results[which], clips = seeds.accuracies(network)
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


def key_of(record):
    return record["candidate"], record["seed"], record["epochs"]


def show(records):
    """Prints a row for every candidate, the mean over its seeds."""
    head = f"{'candidate':18} epochs seeds  params   MACs   "
    print(head + "  ".join(seeds.CONDITIONS))
    for (name, epochs), group in seeds.grouped(
        records, ("candidate", "epochs")
    ).items():
        first = group[0]
        cells = [
            seeds.mean(seeds.shares(group, lambda record: record["latest"], condition))
            for condition in seeds.CONDITIONS
        ]
        low, high = detection.wilson(first["latest"]["clean"], first["clips"])
        print(
            f"{name:18} {epochs:6} {len(group):5} {first['parameters']:7,}"
            f" {first['multiplications'] / 1e6:5.2f}M  {'  '.join(cells)}"
            f"  (first seed, clean, 95 %: {100 * low:.1f} to {100 * high:.1f})"
        )


def chosen(options):
    """(candidate, seed, epochs) of all that is asked for."""
    names = options.candidates.split(",") if options.candidates else list(CANDIDATES)
    seeds.known(names, CANDIDATES)
    numbers = [int(seed) for seed in options.seeds.split(",")]
    # Seeds outside: with little time every candidate is seen once first.
    return [(name, seed, options.epochs) for seed in numbers for name in names]


def parsed():
    parser = seeds.arguments(__doc__, "runs/sweep", seeds="0")
    parser.add_argument("--candidates", default="", help="names; all if not given")
    parser.add_argument("--epochs", type=int, default=60)
    return parser.parse_args()


@main.said()
def sweep():
    options = parsed()
    show(seeds.completed(options, chosen(options), key_of, run))


if __name__ == "__main__":
    sweep()
