"""What 8-bit integers cost keyword networks, over seeds.

    python -m benchmarks.int8_ledger [--networks depthwise,full] [--seeds 0,1,2]
        [--steps 4000] [--budget-minutes 60] [--runs FOLDER]

For every network and seed: `configs/distill.py:none` (full) or `none,depthwise`, then
`configs/qat.py` on it and its control in float, then the table of `distill-jax ledger`
on the test clips, without noise and at 0 dB. Every finished one is a line of
RUNS/results.jsonl and is not done again; what was stopped, by the budget or by Ctrl-C,
goes on where it was.
"""

import statistics

from benchmarks import seeds
from configs import distill, qat
from distill_jax import checkpoints, export, ledger, main, quantised
from distill_jax.export import runtimes

NETWORKS = {"depthwise": "none,depthwise", "full": "none"}
# Points that integers may cost at most.
AIMS = {ledger.CLEAN: 0.3, ledger.NOISY: 0.5}


def configs_of(name, seed, folder, options):
    """{folder of a run: its config}, in order; the later ones need the first."""
    student, integers = distill.get_config(NETWORKS[name]), qat.get_config()
    student.steps = options.steps
    student.data.root = str(options.root / "speech_commands_3")
    student.data.noise = str(options.root / "background_noise")
    control = qat.get_config("float")
    integers.student = control.student = str(folder / "student")
    found = {"student": student, "int8": integers, "float": control}
    for config in found.values():
        config.seed = seed
    return {folder / part: config for part, config in found.items()}


def finished(workdir, steps):
    """Whether a run has come to its end."""
    if not (workdir / "config.json").exists():
        return False
    try:
        return int(checkpoints.read(workdir, "latest")["step"]) == steps
    except checkpoints.CheckpointError:
        return False


def run(key, options, until):
    """Trains and judges; None if the time was over before it was done."""
    name, seed, _ = key
    folder = options.runs / f"{name}-{options.steps}-{seed}"
    for workdir, config in configs_of(name, seed, folder, options).items():
        if finished(workdir, config.steps):
            continue
        if seeds.trained(config, workdir, until) is None:
            return None
    rows = list(ledger.rows(folder / "int8", folder / "float"))
    ledger.write(folder / "int8", rows)
    return {
        "network": name,
        "seed": seed,
        "steps": options.steps,
        "clips": rows[0].clips,
        "rows": {
            row.name: {**row.right, "wrong": row.wrong, "largest": row.largest}
            for row in rows
        },
        **sizes(folder / "int8"),
    }


def sizes(workdir):
    """Bytes of the files, and of TFLite Micro's working memory."""
    found = quantised.load(workdir)
    kept = found.trained
    card = export.Card(kept.name, kept.step, kept.labels, kept.front, kept.samples)
    files = {form: export.content(form, found.model, card) for form in export.FORMATS}
    lengths = {form: len(data) for form, data in files.items()}
    return {"bytes": lengths, "arena": runtimes.arena(files["tflite"])}


def key_of(record):
    return record["network"], record["seed"], record["steps"]


def show(records):
    """Prints per cent right of every seed, with what integers cost on the mean."""
    for (name, steps), group in seeds.grouped(records, ("network", "steps")).items():
        numbers = ", ".join(str(record["seed"]) for record in group)
        print(f"\n{name}, {steps} steps, seeds {numbers}; {group[0]['clips']} clips")
        for row in group[0]["rows"]:
            cells = [cell(group, row, condition) for condition in AIMS]
            wrong = [record["rows"][row]["wrong"] for record in group]
            print(f"  {row:72} {'   '.join(cells)}   differ: {wrong}")
        print(f"  bytes {group[0]['bytes']}, arena {group[0]['arena']}")


def cell(group, row, condition):
    """A row's shares, their mean, and that less the float network's."""

    def shares(row):
        return seeds.shares(group, lambda record: record["rows"][row], condition)

    each, change = shares(row), statistics.mean(shares(row))
    change -= statistics.mean(shares("float"))
    numbers = " ".join(f"{share:.1f}" for share in each)
    return f"{condition}: {numbers} mean {statistics.mean(each):.2f} ({change:+.2f})"


def chosen(options):
    """(network, seed, steps) of all that is asked for."""
    numbers = [int(seed) for seed in options.seeds.split(",")]
    names = options.networks.split(",")
    seeds.known(names, NETWORKS)
    # Seeds outside: with little time every network is seen once first.
    return [(name, seed, options.steps) for seed in numbers for name in names]


def parsed():
    parser = seeds.arguments(__doc__, "runs/int8")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--steps", type=int, default=4000)
    return parser.parse_args()


@main.said()
def sweep():
    options = parsed()
    show(seeds.completed(options, chosen(options), key_of, run))


if __name__ == "__main__":
    sweep()
