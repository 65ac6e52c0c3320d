"""Tables of runs over seeds: each finished run is a line, a stopped one goes on.

Test clips are judged without noise and with noise at four levels: for every clip a
stretch of the last tenth of the recordings of background noise, of which the first
80 % were trained with.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from distill_jax import metrics, student, train
from distill_jax.audio import augment
from distill_jax.data import labelled
from distill_jax.tasks import TASKS, words

RECORDINGS = Path(__file__).parents[2] / "shared" / "data"
LEVELS_DB = (10, 5, 0, -5)
CONDITIONS = ("clean", *(f"{level} dB" for level in LEVELS_DB))
NOISE_SEED = 1234


def arguments(description, runs, seeds="0,1,2"):
    """A parser with what all tables are asked for; `runs` is the folder by default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", default=seeds)
    parser.add_argument("--budget-minutes", type=float, default=60.0)
    parser.add_argument("--runs", type=Path, default=Path(runs))
    parser.add_argument("--root", type=Path, default=RECORDINGS)
    return parser


def known(names, there):
    """Stops at names that no table has.

    Raises:
      SystemExit: with what there is.
    """
    unknown = [name for name in names if name not in there]
    if unknown:
        raise SystemExit(f"unknown: {unknown}; there are {'; '.join(sorted(there))}")


def completed(options, todo, key_of, run):
    """Does what has no line in RUNS/results.jsonl yet, until the time is over.

    Args:
      options: of `arguments`.
      todo: keys of runs, in order.
      key_of: (record) -> its key.
      run: (key, options, until) -> record, or None if it was stopped at `until`.

    Returns:
      Records, those of earlier calls first.
    """
    options.runs.mkdir(parents=True, exist_ok=True)
    train.cache_compilations(options.runs / "xla")
    path = options.runs / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = {key_of(record): record for record in map(json.loads, lines)}
    until = time.perf_counter() + 60 * options.budget_minutes
    for key in todo:
        if key in records:
            continue
        over = time.perf_counter() > until
        record = None if over else run(key, options, until)
        if record is None:
            print("time is over; give the same command again to go on")
            break
        records[key] = record
        line = json.dumps(record, default=int)
        with path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)
    return list(records.values())


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


def accuracies(trained):
    """{condition: right answers of test clips}, and how many clips there are."""
    found, recordings = words.corpus(trained.config)
    test = labelled.examples(found, "test", recordings, trained.samples)
    (batch,) = labelled.valid_batches(test, len(test.label_n))()
    clean_bs = batch["audio_bs"]
    noise_bs = noises(labelled.noise(found, "test", recordings), clean_bs.shape)

    def right(audio_bs):
        return int(np.sum(student.scores(trained, audio_bs).argmax(1) == test.label_n))

    counts = {"clean": right(clean_bs)}
    for level_db in LEVELS_DB:
        snr_db_b = np.full(len(clean_bs), level_db, np.float32)
        noisy_bs = augment.mix_at_snr(clean_bs, noise_bs, snr_db_b)
        counts[f"{level_db} dB"] = right(noisy_bs)
    return counts, len(test.label_n)


def noises(noise_s, shape):
    """A stretch of noise for every clip, the same in every run."""
    clips, samples = shape
    rng = np.random.default_rng(NOISE_SEED)
    first_b = rng.integers(0, len(noise_s) - samples, clips)
    return np.stack([noise_s[at : at + samples] for at in first_b])


def grouped(records, names):
    """{values of `names`: records that have them}, in order."""
    groups = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in names), []).append(record)
    return groups


def shares(group, counts_of, condition):
    """Per cent right of every record; `counts_of(record)` is {condition: right}."""
    return [100 * counts_of(record)[condition] / record["clips"] for record in group]


def mean(values):
    """A mean and, over several, the standard deviation, as text."""
    spread = f" ±{statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
