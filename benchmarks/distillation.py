r"""What teachers are worth to a small student: rows of a table, three seeds each.

    python -m benchmarks.distillation --teachers WAV2VEC2,BERT [--rows all,few]
        [--seeds 0,1,2] [--steps 1200] [--views 4] [--budget-minutes 60] [--runs FOLDER]

The teachers are finished runs of configs/teacher.py on the same words: with published
weights where you have them,

    python -m distill_jax.main --config=configs/teacher.py:wav2vec2_bert \
        --config.teacher.folder=w2v-bert-2.0/ --config.data.root=... --workdir=BERT

else their stand-ins (`:wav2vec2_bert,stand_in`). Every finished run is a line of
RUNS/results.jsonl and is not done again; what the budget stops goes on where it was.
Students are depthwise TinyConv unless a row says otherwise, all of one length; the
newest checkpoint is judged on test clips, clean and in noise (`seeds`).
Teachers of `all` and `few` know all labels, as pretraining would have taught them; the
student of `few` knows 5 %.
"""

import json
import subprocess
import sys

from benchmarks import seeds
from configs.distill import get_config
from distill_jax import detection, main, student

BOTH, FIRST, SECOND, NONE = (0, 1), (0,), (1,), ()
FEW = {"data.fraction": 0.05}
VIEWS = 4
# Table: {row: (teachers, changed settings)}; in the order in which they are run.
TABLES = {
    "few": {
        "no teacher": (NONE, FEW),
        "both": (BOTH, FEW),
        "wav2vec2": (FIRST, FEW),
        "conformer": (SECOND, FEW),
        "both, not aligned": (BOTH, FEW | {"distill.align": 0.0}),
        "both, early layers": (BOTH, FEW | {"layers": "early"}),
        "both, late layers": (BOTH, FEW | {"layers": "late"}),
        "both, uniform": (BOTH, FEW | {"distill.weighting": "uniform"}),
        "both, inverse entropy": (BOTH, FEW | {"distill.weighting": "inverse_entropy"}),
        "both, mean of logits": (BOTH, FEW | {"distill.mixture": "logits"}),
        "both, temperature 1": (BOTH, FEW | {"distill.temperature": 1.0}),
        "both, temperature 4": (BOTH, FEW | {"distill.temperature": 4.0}),
        "both, alpha 0.4": (BOTH, FEW | {"distill.alpha": 0.4}),
        "both, alpha 1": (BOTH, FEW | {"distill.alpha": 1.0}),
        "both, cosine": (BOTH, FEW | {"distill.distance": "cosine"}),
    },
    "all": {
        "no teacher": (NONE, {}),
        "both": (BOTH, {}),
        "wav2vec2": (FIRST, {}),
        "conformer": (SECOND, {}),
    },
    "spoken": {"no teacher": (NONE, {}), "both": (BOTH, {})},
    "small": {
        "no teacher": (NONE, {"variant": "small"}),
        "both": (BOTH, {"variant": "small"}),
    },
}


def config_of(table, row, seed, options):
    """The config of a run."""
    chosen, changes = TABLES[table][row]
    changes = dict(changes)
    variant = changes.pop("variant", "depthwise")
    layers = changes.pop("layers", "middle")
    config = get_config(f"dual,{variant}")
    config.data.root = str(options.root / "speech_commands_3")
    config.data.noise = str(options.root / "background_noise")
    if table == "spoken":
        config.data.root = str(spoken(options))
    config.seed, config.steps = seed, options.steps
    config.eval_every = config.save_every = 400
    config.teachers = tuple(options.teachers.split(",")[number] for number in chosen)
    config.teacher_alignment_layers = (layers,) * len(chosen)
    config.distill.views = options.views if chosen else 0
    config.update_from_flattened_dict(changes)
    return config


def spoken(options):
    """A table of synthetic clips to train on and the real ones to test with."""
    table = options.runs / "spoken.jsonl"
    if table.exists():
        return table
    rows, real = [], (options.root / "speech_commands_3").resolve()
    for word in ("bed", "cat", "happy"):
        out = (options.runs / "spoken" / word).resolve()
        verb = [sys.executable, "-c", "from distill_jax.cli import main; main()"]
        counts = ["--n", "800", "--near-misses", "0", "--others", "0"]
        subprocess.run([*verb, "speak", word, *counts, "--out", str(out)], check=True)
        lines = (out / "manifest.jsonl").read_text().splitlines()
        for number, line in enumerate(map(json.loads, lines)):
            split = "valid" if number % 10 == 9 else "train"
            path = str(out / line["path"])
            rows.append({"path": path, "label": word, "split": split})
    for name in (real / "testing_list.txt").read_text().split():
        clip = (real / name).with_suffix(".flac")
        rows.append({"path": str(clip), "label": clip.parent.name, "split": "test"})
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return table


def run(key, options, until):
    """Trains and judges; None if the time was over before it was done."""
    table, row, seed, *_ = key
    config = config_of(table, row, seed, options)
    views = "" if options.views == VIEWS else f"-{options.views}_views"
    name = f"{table}-{row}-{options.steps}-{seed}{views}"
    workdir = options.runs / name.replace(" ", "_").replace(",", "")
    seconds = seeds.trained(config, workdir, until)
    if seconds is None:
        return None
    right, clips = seeds.accuracies(student.load(workdir, "latest"))
    which = {"table": table, "row": row, "seed": seed, "steps": options.steps}
    which["views"] = options.views
    return {**which, "seconds": seconds, "clips": clips, "right": right}


def key_of(record):
    """The first records do not tell how many variations of a clip were kept: 4."""
    names = ("table", "row", "seed", "steps")
    return *(record[name] for name in names), record.get("views", VIEWS)


def show(records):
    """Prints a line for every row: means over seeds, standard deviations, each run."""
    columns = "  ".join(f"{condition:>10}" for condition in seeds.CONDITIONS)
    print(f"{'table':7} {'row':24} steps views seeds  {columns}")
    records = [{"views": VIEWS} | record for record in records]
    names = ("table", "row", "steps", "views")
    for (table, row, steps, views), group in seeds.grouped(records, names).items():
        start = f"{table:7} {row:24} {steps:5} {views:5} {len(group):5}"
        print(f"{start}  {cells(group)}")
    if records:
        clips = records[0]["clips"]
        low, high = detection.wilson(round(0.95 * clips), clips)
        print(f"95 % interval of 95 % right: {100 * low:.1f} to {100 * high:.1f}")


def cells(group):
    """Shares of a row's records as text."""
    found = {
        condition: seeds.shares(group, lambda record: record["right"], condition)
        for condition in seeds.CONDITIONS
    }
    means = "  ".join(f"{seeds.mean(shares):>10}" for shares in found.values())
    both = zip(found["clean"], found["0 dB"], strict=True)
    each = " ".join(f"{clean:.1f}/{noisy:.1f}" for clean, noisy in both)
    return f"{means}   runs, clean/0 dB: {each}"


def parsed():
    parser = seeds.arguments(__doc__, "runs/evidence")
    parser.add_argument("--teachers", required=True, help="two folders, comma between")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--rows", default="", help="separated by ;, all if not given")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--views", type=int, default=VIEWS)
    return parser.parse_args()


def chosen(options):
    """(table, row, seed, steps, views) of all asked for, rows complete one by one."""
    tables = options.tables.split(",")
    seeds.known(tables, TABLES)
    there = {row for table in tables for row in TABLES[table]}
    rows = options.rows.split(";") if options.rows else there
    seeds.known(rows, there)
    return [
        (table, row, int(seed), options.steps, options.views)
        for table in tables
        for row in TABLES[table]
        for seed in options.seeds.split(",")
        if row in rows
    ]


@main.said()
def table():
    options = parsed()
    show(seeds.completed(options, chosen(options), key_of, run))


if __name__ == "__main__":
    table()
