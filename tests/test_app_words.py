"""Wake words from a form, and listening with what became of them."""

import json
import shutil

import numpy as np
import pytest
import tiny_wake_word
import tiny_words

from distill_jax import (
    delivery,
    detection,
    export,
    quantised,
    report,
    streaming,
)
from distill_jax import wakeword as wakewords
from distill_jax.app import hearing, judging, places, planning, progress, runs
from distill_jax.audio import files
from distill_jax.wakeword import plan as plans
from distill_jax.word_report import scores

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A work directory with recordings, a run and its files."""
    root = tmp_path_factory.mktemp("root")
    tiny_words.recordings(root / "words", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / ".cache"))
        run = tiny_wake_word.untrained(root / "old", tiny_wake_word.QUICK)
        found = quantised.load(run)
        card = delivery.card(run, found)
        export.write(run / "export", found.model, card, ["npz", "c"])
        yield root


def form(**fields):
    return planning.Form("High!", data="words", **fields)


def test_a_form_becomes_a_plan(root):
    made = planning.plan(
        root,
        form(
            kinds=("wav2vec2", "wavlm"),
            student="small",
            layers="early; 2,last",
            weighting="uniform",
            steps={"teachers": 3, "student": 0, "qat": 7},
            changes="student.batch=8\n\n student.distill.tau=0.5 ",
        ),
    )
    assert made.workdir == root / "high" and made.data == root / "words"
    student = plans.config(made, "student", 1.0)
    assert student.model.residual and student.model.use_depthwise
    assert student.teacher_alignment_layers == ("early", "2,last")
    assert (student.distill.weighting, student.distill.tau) == ("uniform", 0.5)
    assert (student.steps, student.batch) == (plans.RECORDED["student"], 8)
    assert plans.config(made, "wavlm", 1.0).steps == 3
    assert plans.config(made, "qat", 1.0).steps == 7


def test_without_teachers_their_settings_are_left_out(root):
    made = planning.plan(root, form(name="mine", layers="last", steps={"teachers": 2}))
    assert made.changes == () and made.workdir == root / "mine"


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"text": ""}, "expected one to say"),
        ({"data": "../x"}, "outside"),
        ({"noise": "/tmp"}, "outside"),
        ({"encoders": "/tmp"}, "outside"),
        ({"name": "../x"}, "no name"),
        ({"kinds": ("wavlm",), "layers": "last;last"}, "2 alignment layers for 1"),
        ({"steps": {"qat": -1}}, "-1 steps"),
        ({"changes": "student.data.root='/etc'"}, "data.root cannot be changed"),
        ({"changes": "student.data={'root': '/etc'}"}, "."),
        ({"changes": "qat.student='/etc'"}, "student cannot be changed"),
        ({"changes": "student.distill.cache='/etc'"}, "distill.cache cannot be"),
        ({"changes": "student.teachers=('/etc',)"}, "teachers cannot be changed"),
        (
            {"kinds": ("wavlm",), "changes": "teachers.teacher.folder='/etc'"},
            "teacher.folder cannot be changed",
        ),
        ({"text": "middle"}, "no folder middle"),
    ],
)
def test_a_form_that_cannot_be_is_refused(root, fields, match):
    with pytest.raises(ValueError, match=match):
        planning.plan(root, form()._replace(**fields))
    assert not (root / "high").exists()


def test_a_word_that_was_begun_is_found_again(root):
    made = planning.plan(root, form(name="begun", changes="qat.steps=3"))
    events = wakewords.make(made._replace(changes=(*made.changes, "student.steps=2")))
    next(events)
    events.close()
    assert planning.known(root) == ["begun"]
    again = planning.reopened(root, "begun")
    assert again == made._replace(changes=("qat.steps=3", "student.steps=2"))
    (row,) = [each for each in runs.found(root) if each.task == runs.WORD]
    assert row.name == "begun" and row[2:] == (0, 5, None, "")
    assert "svg" not in progress.word(root, "begun")
    path = root / "begun" / "settings.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "noise": "/tmp"}))
    with pytest.raises(places.OutsideError):
        planning.reopened(root, "begun")
    path.write_text("{")
    assert planning.known(root) == []
    with pytest.raises(ValueError, match="not the folder of a wake word"):
        planning.reopened(root, "begun")


def test_runs_are_listed_with_their_curves(root):
    (row,) = [each for each in runs.found(root) if each.task == "distill"]
    assert (row.name, row.step, row.steps, row.best) == ("old/run", 0, 2, None)
    assert runs.rows([row])[0] == ["old/run", "distill", 0, 2, "–"]
    folder = root / "logged"
    folder.mkdir()
    (folder / "config.json").write_text('{"task": "vae"}')
    lines = [
        {"step": s, "split": split, "values": {"loss": 1 / s}, "non_finite": 0}
        for split, s in (("train", 1), ("valid", 2), ("train", 3), ("valid", 4))
    ]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    row = runs.look(root, "logged")
    assert (row.step, row.best) == (4, 0.25)
    assert list(runs.curves(root, ["logged"])["loss"]) == ["training", "held out"]
    both = runs.curves(root, ["logged", "old/run"])["loss"]
    assert list(both) == ["logged, training", "logged, held out"]
    assert runs.trained(root, "vae") == []


def test_a_run_and_its_file_hear_the_same_word(root):
    assert hearing.choices(root) == ["old/run", "old/run/export/student.npz"]
    assert hearing.partner(root, "old/run") == "old/run/export/student.npz"
    assert hearing.partner(root, "old/run/export/student.npz") == "old/run"
    audio_s = np.concatenate([np.zeros(RATE_HZ), tiny_wake_word.clip(1800, 3, 1.0)])
    heard = [
        scores.listen(name, scores.opened(root / name), audio_s.astype(np.float32))
        for name in hearing.choices(root)
    ]
    one, other = heard
    assert one.word == other.word == "high" and len(one.at_n) == len(one.score_n)
    assert one.at_n[0] >= 0 and 1.9 < one.at_n[-1] <= 2.0
    np.testing.assert_array_equal(one.at_n, other.at_n)
    assert np.abs(one.score_n - other.score_n).max() < 0.1
    picture = hearing.timeline(heard, 0.5)
    assert picture.count("<polyline") == 2 and 'class="mark"' in picture
    with pytest.raises(ValueError, match="no word 'loud'"):
        scores.opened(root / "old/run", "loud")
    assert hearing.judged(root, "old/run") is None


def test_a_run_is_judged_and_its_report_found(root, tmp_path):
    run = shutil.copytree(root / "old", tmp_path / "old") / "run"
    # The run has moved, and its recordings with it.
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace(str(root), str(tmp_path)))
    assert judging.choices(tmp_path) == ["old/run"]
    titles = [event.title for event in judging.evaluate(tmp_path, "old/run", "high")]
    assert titles == ["opening the run", "listening to long sound"]
    assert runs.look(tmp_path, "old/run").page == "old/run/report/index.html"
    assert hearing.judged(tmp_path, "old/run").figures["word"] == "high"


def test_a_run_with_recordings_from_elsewhere_is_not_judged(root, tmp_path):
    shutil.copytree(root / "old" / "run", tmp_path / "run")
    with pytest.raises(places.OutsideError, match="is outside the work directory"):
        list(judging.evaluate(tmp_path, "run", "high"))
    assert not (tmp_path / "run" / "report").exists()


def test_the_slider_tells_misses_and_false_accepts_of_every_threshold(tmp_path):
    rng = np.random.default_rng(0)
    starts = np.arange(20, 400, 40) * RATE_HZ
    line = detection.Timeline(
        rng.uniform(size=2000).round(3),
        np.arange(2000) * (RATE_HZ // 5),
        np.stack([starts, starts + RATE_HZ], axis=1),
        400 * RATE_HZ,
        RATE_HZ,
    )
    curve = detection.curve(line)
    report.figures(tmp_path / "r.json", {"curves": {"clean": curve._asdict()}})
    figures = json.loads((tmp_path / "r.json").read_text())
    peak_k, hours = detection.peaks(line), detection.free_hours(line)
    for threshold in (0.0, 0.9, *peak_k[:4], 0.999, 1.1):
        ((name, missed, accepts),) = hearing.at_threshold(figures, threshold)
        assert name == "clean" and missed == f"{np.mean(peak_k < threshold):.1%}"
        true = len(detection.false_accepts(line, threshold)) / hours
        if accepts.endswith("or more"):
            assert true >= float(accepts.split()[0]) - 0.01
        else:
            least, *most = map(float, accepts.split(" to "))
            assert least - 0.01 <= true <= (most or [least])[0] + 0.01


def test_every_error_of_a_report_can_be_played(tmp_path):
    folder = tmp_path / "run" / "report"
    (folder / "audio").mkdir(parents=True)
    (folder / "report.json").write_text('{"curves": {}, "threshold": 0.5}')
    for name in ("accept_clean_000", "missed_minus5dB_001"):
        path = folder / "audio" / f"{name}.wav"
        files.write(path, np.zeros(9), RATE_HZ, {"first_sample": 8000})
    (tmp_path / "run" / "export").mkdir()
    (tmp_path / "run" / "export" / "student.tflite").write_bytes(b"")
    for name in ("run", "run/export/student.tflite"):
        found = hearing.errors(tmp_path, hearing.judged(tmp_path, name))
        audio = "run/report/audio"
        assert found == [
            ("false accept", "clean", 0.5, f"{audio}/accept_clean_000.wav"),
            ("missed word", "-5 dB", 0.5, f"{audio}/missed_minus5dB_001.wav"),
        ]
        assert all(places.served(tmp_path, each[3]) for each in found)


def test_log_odds_go_back_and_forth():
    share_n = np.array([0.001, 0.5, 0.9, 0.9999])
    back = [hearing.share(odds) for odds in hearing.odds(share_n)]
    np.testing.assert_allclose(back, share_n)
    assert hearing.odds(0.0) == hearing.LOWEST and hearing.odds(1.0) == hearing.HIGHEST
    assert streaming.Settings(0.5, 1).refractory_seconds == 1.0  # As `triggers`.
