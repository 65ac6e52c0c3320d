"""From a word to INT8 files, small enough to watch it happen."""

import json

import numpy as np
import pytest
import tiny_teacher
import tiny_words

from distill_jax import classifier, export, wakeword
from distill_jax.audio import front_end
from distill_jax.tasks import teacher
from distill_jax.wakeword import plan as plans
from distill_jax.wakeword import spoken, stages

# One layer each, two steps each.
QUICK = (
    "teachers.teacher.encoder.num_hidden_layers=1",
    "teachers.teacher.encoder.hidden_size=24",
    "teachers.teacher.encoder.intermediate_size=24",
    "teachers.teacher.encoder.conv_dim=(8,8,8,8)",
    "student.model.channels=(4,6)",
    "student.model.strides=(2,2)",
    "student.distill.inner=8",
    "student.distill.views=1",
    *("teachers.steps=2", "student.steps=8", "qat.steps=2"),
    *(f"{run}.batch=8" for run in ("teachers", "student", "qat")),
)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tiny_words.recordings(tmp_path_factory.mktemp("words"))


def plan(words, folder, **fields):
    fields = {"teachers": ("wav2vec2",), "changes": QUICK} | fields
    return wakeword.Plan("High!", folder / "made", data=words, **fields)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_word_becomes_files_and_what_is_stopped_goes_on(words, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = plan(words, tmp_path)
    # To train it is tested with teachers, and takes as long as all else.
    run = wanted.taught_by()["wav2vec2"]
    config = plans.config(wanted, "wav2vec2", 1.0)
    teacher.data(config)
    tiny_teacher.kept(config, run)
    titles = [stage.title for stage in stages.of(wanted)]
    events = wakeword.make(wanted)
    for event in events:
        if (event.title, event.step) == ("training the student", 1):
            break
    events.close()
    record = wakeword.read(wanted.workdir)
    assert set(record) == {"teacher wav2vec2", "answers", "student"}
    assert "figures" not in record["student"] and record["student"]["seconds"] > 0

    events = list(wakeword.make(wanted))
    assert list(dict.fromkeys(event.title for event in events)) == titles[2:]
    steps = [e.step for e in events if e.title == "training the student"]
    assert steps[0] == 0 and steps[1] > 2 and steps[-1] == 8
    record = wakeword.read(wanted.workdir)
    assert len(record) == len(titles) and all("figures" in x for x in record.values())
    figures = record["files"]["figures"]
    assert sum("all as specified" in line for line in figures["checked"]) >= 2
    model = wanted.workdir / "files" / figures["files"]["tflite"]
    _, about = export.read(model)
    assert about["labels"] == ["high", "unknown", "silence"]
    assert about["sha256"] == figures["sha256"]["tflite"]

    page = (wanted.workdir / "index.html").read_text()
    assert "Wake word “High!”" in page and 'href="files/student.tflite"' in page
    assert not list(wakeword.make(wanted))
    said = "\n".join(wakeword.lines(wanted, record))
    assert "0 dB" in said and str(model) in said
    with pytest.raises(ValueError, match="seed: 0 there, 1 now"):
        next(wakeword.make(wanted._replace(seed=1)))


def test_all_that_is_wrong_is_told_before_anything_is_done(words, tmp_path):
    wanted = plan(
        words,
        tmp_path,
        teachers=("loud",),
        student="huge",
        noise=tmp_path / "nowhere",
        per_hour=0.0,
        changes=("students.steps=3",),
    )
    with pytest.raises(ValueError, match="cannot be made so") as caught:
        next(wakeword.make(wanted))
    for part in ("'loud'", "'huge'", "nowhere", "per_hour is 0", "students.steps"):
        assert part in str(caught.value)
    assert not wanted.workdir.exists()


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"data": None, "text": "unknown"}, "expected one to say"),
        ({"text": "middle"}, "no folder middle in .*, only .*high, low"),
        ({"changes": ("qat.stepps=3",)}, "stepps"),
        ({"changes": ("teachers.steps=many",)}, "steps=many"),
        ({"teachers": ("wavlm", "wavlm")}, "two teachers have one name"),
    ],
)
def test_what_cannot_be_is_refused(words, tmp_path, fields, match):
    with pytest.raises(ValueError, match=match):
        wakeword.check(plan(words, tmp_path)._replace(**fields))


def test_runs_hear_the_same_and_differ_as_they_should(words, tmp_path):
    wanted = plan(words, tmp_path, teachers=("wav2vec2_bert", "wav2vec2"))
    taught = plans.config(wanted, "wav2vec2", 1.5)
    student = plans.config(wanted, "student", 1.5)
    assert dict(taught.data) == dict(student.data)
    assert taught.data.words == ("high",) and taught.data.window_seconds == 1.5
    assert taught.data.silence > 0  # There is a folder of background noise.
    assert student.teachers == tuple(map(str, wanted.taught_by().values()))
    assert (student.steps, student.model.channels) == (8, (4, 6))
    assert plans.config(wanted, "qat", 1.5).student == str(wanted.workdir / "student")


def test_without_teachers_there_are_none_to_ask(words, tmp_path):
    wanted = plan(words, tmp_path, teachers=(), changes=())
    names = [stage.name for stage in stages.of(wanted)]
    assert names == ["student", "qat", "listening", "files", "costs"]
    student = plans.config(wanted, "student", 1.0)
    assert not student.teachers and student.model.use_depthwise


def test_an_encoder_of_ones_own_is_a_teacher(words, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "wav2vec2-bert"}')
    wanted = plan(words, tmp_path, teachers=(str(folder),), changes=())
    config = plans.config(wanted, "mine", 1.0)
    assert config.teacher.folder == str(folder)
    assert config.teacher.encoder.model_type == "wav2vec2-bert"
    assert config.teacher.encoder.num_hidden_layers == 24


def test_a_long_phrase_gets_a_longer_window(tmp_path, monkeypatch):
    lines = [{"label": "hey_you", "start": 0.1, "end": 0.1 + x} for x in (1.31, 0.9)]
    wanted = wakeword.Plan("hey you", tmp_path)
    monkeypatch.setattr(plans.speech_folder, "read", lambda _: dict(enumerate(lines)))
    assert plans.window_seconds(wanted) == 1.0  # of the longest one in twenty
    monkeypatch.setattr(plans, "LONGEST", 1.0)
    assert plans.window_seconds(wanted) == 1.4


def test_the_verb_refuses_and_names_what_it_takes(refused, words, tmp_path):
    said = refused("wakeword", "loud", "--workdir", tmp_path / "w", "--data", words)
    assert "there is no folder loud" in said and "high, low" in said


def test_near_misses_are_trained_against_and_judged_by_themselves(tmp_path):
    wanted = wakeword.Plan("hey jarvis", tmp_path, clips=100)
    assert list(spoken.make(wanted))[-1] == (250, 250, {})
    rows = [json.loads(line) for line in wanted.root.read_text().splitlines()]
    splits_of = {}
    for row in rows:
        splits_of.setdefault(row["label"], set()).add(row["split"])
    assert splits_of["near_miss"] == {"train"}
    assert splits_of["hey_jarvis"] == splits_of["unknown"] == {"train", "valid", "test"}
    left = {path.name for path in (wanted.speech / "near_miss").iterdir()}
    held = left - {row["path"].split("/")[1] for row in rows}

    def answer(feature_btf):
        return np.tile([[1.0, 0.0]], (len(feature_btf), 1))

    front = front_end.FrontEnd()
    known = classifier.Classifier(
        "always",
        "none",
        ("hey_jarvis", "unknown"),
        front,
        16_000,
        49,
        lambda audio_bs: front_end.log_mel_in_turn(audio_bs, front),
        answer,
    )
    assert len(held) > 2
    for threshold, taken in ((0.7, len(held)), (0.8, 0)):
        found = spoken.near_misses(wanted, known, threshold)
        assert found == {"clips": len(held), "taken": taken}


def test_recordings_of_a_plan_are_made_once(tmp_path):
    plan = wakeword.Plan("hello", tmp_path, clips=4)
    changes = wakeword.ready(plan)
    assert f"data.root={plan.root}" in changes and "data.words=('hello',)" in changes
    labels = {json.loads(line)["label"] for line in plan.root.read_text().splitlines()}
    assert "hello" in labels and len(list((tmp_path / "noise").glob("*.wav"))) == 12
    stamp = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    assert wakeword.ready(plan) == changes
    assert stamp == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
