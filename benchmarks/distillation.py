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
newest checkpoint is judged on test clips, clean and in noise (`tiny_conv_sweep`).
Teachers of `all` and `few` know all labels, as pretraining would have taught them; the
student of `few` knows 5 %.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.tiny_conv_sweep import LEVELS_DB, RECORDINGS, accuracies, trained
from configs.distill import get_config
from distill_jax import detection, main, student, train

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
    table, row, seed = key
    config = config_of(table, row, seed, options)
    views = "" if options.views == VIEWS else f"-{options.views}_views"
    name = f"{table}-{row}-{options.steps}-{seed}{views}"
    workdir = options.runs / name.replace(" ", "_").replace(",", "")
    seconds = trained(config, workdir, until)
    if seconds is None:
        return None
    right, clips = accuracies(student.load(workdir, "latest"))
    which = {"table": table, "row": row, "seed": seed, "steps": options.steps}
    which["views"] = options.views
    return {**which, "seconds": seconds, "clips": clips, "right": right}


def views_of(record):
    """How many variations of a clip were kept; the first records do not tell."""
    return record.get("views", 4)


def show(records):
    """Prints a line for every row: means over seeds, standard deviations, each run."""
    columns = ["clean", *(f"{level} dB" for level in LEVELS_DB)]
    groups = {}
    for record in records:
        named = (record[name] for name in ("table", "row", "steps"))
        group = (*named, views_of(record))
        groups.setdefault(group, []).append(record)
    head = f"{'table':7} {'row':24} steps views seeds  "
    print(head + "  ".join(f"{c:>10}" for c in columns))
    for (table, row, steps, views), group in groups.items():
        cells = []
        for column in columns:
            shares = [100 * r["right"][column] / r["clips"] for r in group]
            spread = f" ±{statistics.stdev(shares):.1f}" if len(shares) > 1 else ""
            cells.append(f"{statistics.mean(shares):.1f}{spread}")
        each = " ".join(
            f"{100 * r['right']['clean'] / r['clips']:.1f}/"
            f"{100 * r['right']['0 dB'] / r['clips']:.1f}"
            for r in group
        )
        print(
            f"{table:7} {row:24} {steps:5} {views:5} {len(group):5}  "
            + "  ".join(f"{cell:>10}" for cell in cells)
            + f"   runs, clean/0 dB: {each}"
        )
    if records:
        clips = records[0]["clips"]
        low, high = detection.wilson(round(0.95 * clips), clips)
        print(f"95 % interval of 95 % right: {100 * low:.1f} to {100 * high:.1f}")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teachers", required=True, help="two folders, comma between")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--rows", default="", help="separated by ;, all if not given")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--budget-minutes", type=float, default=60.0)
    parser.add_argument("--runs", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--root", type=Path, default=RECORDINGS)
    return parser.parse_args()


def chosen(options):
    """(table, row, seed) of all that is asked for, rows complete one by one."""
    rows = options.rows.split(";") if options.rows else None
    return [
        (table, row, int(seed))
        for table in options.tables.split(",")
        for row in TABLES[table]
        for seed in options.seeds.split(",")
        if rows is None or row in rows
    ]


@main.said()
def table():
    options = parsed()
    options.runs.mkdir(parents=True, exist_ok=True)
    train.cache_compilations(options.runs / "xla")
    path = options.runs / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    keys = ("table", "row", "seed", "steps")
    done = {(*(r[key] for key in keys), views_of(r)) for r in records}
    until = time.perf_counter() + 60 * options.budget_minutes
    for key in chosen(options):
        if (*key, options.steps, options.views) in done:
            continue
        over = time.perf_counter() > until
        record = None if over else run(key, options, until)
        if record is None:
            print("time is over; give the same command again to go on")
            break
        records.append(record)
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), flush=True)
    show(records)


if __name__ == "__main__":
    table()
