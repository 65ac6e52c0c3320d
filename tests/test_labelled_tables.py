import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distill_jax.data import labelled


def write(path, seconds=2.0, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio_s = 0.1 * np.random.default_rng(seed).normal(size=round(1000 * seconds))
    soundfile.write(path, audio_s, 1000, subtype="FLOAT")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


TABLE = [
    {"path": "one.wav", "label": "a", "split": "training", "start": 0, "end": 1},
    {"path": "one.wav", "label": "b", "split": "train", "start": "1.5", "end": 2.5},
    {"path": "sub/two.wav", "label": "a", "split": "dev", "speaker": "x"},
    {"path": "three.wav", "label": "b", "split": "test", "start": 2},
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_tables_give_stretches_of_files(tmp_path, cache, suffix, caplog):
    for number, name in enumerate(("one", "sub/two", "three")):
        write(tmp_path / f"{name}.wav", 3.0, seed=number)
    path = tmp_path / f"table.{suffix}"
    rows = [row | {"mood": "good"} for row in TABLE]
    if suffix == "csv":
        with open(path, "w", newline="") as file:
            fields = ("path", "label", "split", "start", "end", "speaker", "mood")
            table = csv.DictWriter(file, fields, restval="")
            table.writeheader()
            table.writerows(rows)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING):
        corpus = labelled.read(path, cache)
    assert "columns that are not used: mood" in caplog.text
    found = [(Path(c.path).name, *c[1:6]) for c in corpus.clips]
    assert found == [
        ("one.wav", "a", "train", 0.0, 1.0, ""),
        ("one.wav", "b", "train", 1.5, 2.5, ""),
        ("two.wav", "a", "valid", 0.0, 3.0, "x"),
        ("three.wav", "b", "test", 2.0, 3.0, ""),
    ]
    assert len(corpus.files) == 3


def test_table_lists_every_faulty_row(tmp_path, cache):
    rows = [
        {"label": "a"},
        {"path": "x.wav", "label": "a", "split": "tomorrow"},
        {"path": "x.wav", "label": "a", "start": 2, "end": 1},
        {"path": "x.wav", "label": "a", "start": "noon"},
        ["a list"],
        {"path": "x.wav", "label": "a", "split": "train"},
        {"path": "y.wav", "label": "a"},
    ]
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "{not json"]))
    with pytest.raises(ValueError, match="has 7 fault") as error:
        labelled.read(path, cache)
    for fault in ("line 1: has no path", "line 2: split", "line 3: should have 0",
                  "line 4: start and end", "line 5: is no JSON object",
                  "1 of 2 rows have a split", "line 8: is not JSON"):  # fmt: skip
        assert fault in str(error.value), fault


def test_stretch_beyond_its_recording_and_missing_file_are_refused(tmp_path, cache):
    write(tmp_path / "one.wav", 2.0)
    path = tmp_path / "table.csv"
    path.write_text("path,label,start,end\none.wav,a,0,1\none.wav,b,1,2.5\n")
    with pytest.raises(ValueError, match=r"2.000 s, found 1–2.5 s"):
        labelled.read(path, cache)
    path.write_text("path,label\none.wav,a\ngone.wav,b\n")
    with pytest.raises(ValueError, match=r"gone.wav cannot be read: No such file"):
        labelled.read(path, cache)


def test_speakers_in_several_given_splits_are_said(tmp_path, cache, caplog):
    rows = []
    for number, split in enumerate(("train", "valid", "test", "train")):
        write(tmp_path / f"{number}.wav", seed=number)
        label = "ab"[number % 2] if split == "train" else "a"
        rows.append({"path": f"{number}.wav", "label": label, "split": split})
        rows[-1]["speaker"] = "me"
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING):
        labelled.read(path, cache)
    assert "1 speaker(s) are in more than one split" in caplog.text
