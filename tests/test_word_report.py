"""The report on a wake word, and the verbs that make and use it."""

import json
import re
import sys

import numpy as np
import pytest
import tiny_quant
import tiny_wake_word
from tiny_wake_word import RATE_HZ

from distill_jax import classifier, export, streaming, student, word_report
from distill_jax.audio import files
from distill_jax.data import scenes
from distill_jax.word_report import network, opening, sides
from distill_jax.word_report.job import CLEAN

FRAME = 320


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An untrained run; its recordings lie beside it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("job")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield tiny_wake_word.untrained(folder)


def level(audio_bs):
    """A feature: the largest sample of each frame, [b, t, 1]."""
    count = audio_bs.shape[1] // FRAME
    frame_btn = audio_bs[:, : count * FRAME].reshape(-1, count, FRAME)
    return np.abs(frame_btn).max(axis=2, keepdims=True)


def classify(audio_bs):
    """As sure of a loud word as it is loud."""
    loud_b = np.clip(np.abs(audio_bs).max(axis=1), 0, 1)
    return np.stack([loud_b, 1 - loud_b], axis=1)


SCORER = streaming.Scorer(
    level, lambda x_btf: x_btf.max(axis=(1, 2)), RATE_HZ, FRAME, FRAME, 10
)
LISTENING = word_report.Listening(smooth=1, per_hour=60.0, snr_db=(10.0,), seed=1)


def side(levels, other_levels):
    """Words that peak at some levels and other words at others, and a quiet hum."""
    clips, label_n = [], [0] * len(levels) + [1] * len(other_levels)
    for number, height in enumerate([*levels, *other_levels]):
        audio_s = np.zeros(RATE_HZ, np.float32)
        audio_s[4000:9000] = height * np.sin(np.arange(5000))
        clips.append(scenes.Spoken(audio_s, f"clip{number}", f"voice{number % 2}"))
    audio_ns = np.stack([each.audio_s for each in clips])
    hum_s = np.full(2 * RATE_HZ, 0.01, np.float32)
    return word_report.Side(audio_ns, np.array(label_n), clips, {"hum": hum_s})


def opened(run, noise=None):
    sounds = opening.Sounds(run, noise=noise)
    return opening.load(network.load(run), "", LISTENING, sounds)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report on a detector of loudness: 3 words, one quiet, and one loud other."""
    folder = tmp_path_factory.mktemp("report") / "report"
    job = word_report.Job(
        folder,
        folder.parent,
        "loudness",
        "sums",
        ("loud", "unknown"),
        0,
        classify,
        SCORER,
        side([0.9, 0.8, 0.7], [0.5, 0.4]),
        side([0.9, 0.8, 0.3], [0.85, 0.2]),
        LISTENING,
    )
    return folder, word_report.write(job)


def test_threshold_is_of_validation_and_errors_are_of_the_test(written):
    # Validation allows no false accept (0.4 min at one a minute): the threshold is
    # that of the quietest score above the other words, which is a word's.
    _, figures = written
    assert 0.5 < figures["threshold"] <= 0.7
    clean = figures["streaming"]["clean"]
    assert (clean["words"], clean["missed"], clean["false_accepts"]) == (3, 1, 1)
    assert clean["false_accepts_by_source"] == {scenes.SPEECH: 1}
    assert clean["worst_group"]["name"] == "voice0"


def test_latency_is_negative_where_a_word_is_known_at_once(written):
    late = written[1]["streaming"]["clean"]["latency_seconds"]
    # Loud from its first frame on, 0.3 s long.
    assert late["words"] == 2
    assert -0.32 < late["median"] < -0.25


def test_every_error_has_a_sound_of_its_own(written):
    folder, figures = written
    sounds = sorted(path.name for path in (folder / "audio").glob("*.wav"))
    for kind, field in (("accept", "false_accepts"), ("missed", "missed")):
        expected = sum(each[field] for each in figures["streaming"].values())
        assert len([name for name in sounds if name.startswith(kind)]) == expected
    accept_s = files.read(folder / "audio" / "accept_clean_000.wav", RATE_HZ)
    assert np.abs(accept_s).max() == pytest.approx(0.85, abs=0.01)
    (quiet,) = (folder / "audio").glob("missed_clean_*.wav")
    missed_s = files.read(quiet, RATE_HZ)
    assert np.abs(missed_s).max() == pytest.approx(0.3, abs=0.01)


def test_page_plays_every_sound_and_shows_every_picture(written):
    folder, _ = written
    html = (folder / "index.html").read_text(encoding="utf-8")
    links = set(re.findall(r'src="([^"]+)"', html))
    there = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.[pw][na]*")
    }
    assert links == there
    assert "Too short" in html


def test_report_json_is_what_was_returned(written):
    folder, figures = written
    stored = json.loads((folder / "report.json").read_text())
    assert stored.keys() == figures.keys()
    assert stored["rates"]["0.1"]["resolved"] is False
    assert stored["clips"]["no noise, clean"]["clips"] == 5
    assert np.sum(stored["clips"]["hum, 10 dB"]["confusion"]) == 5
    curve = stored["curves"]["clean"]
    assert curve["rejected_n"][0] == 1
    assert curve["rejected_n"][-1] == 0


def test_word_that_nobody_says_is_told(tmp_path):
    alone = side([], [0.5])
    fields = (("loud", "unknown"), 0, classify, SCORER, alone, alone, LISTENING)
    with pytest.raises(ValueError, match="no clip of 'loud' to valid and test with"):
        word_report.write(word_report.Job(tmp_path, tmp_path, "x", "sums", *fields))


def test_network_is_heard_alike_at_once_and_frame_by_frame(run):
    scorer = classifier.scorer(network.load(run), 0)
    audio_s = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    detector = streaming.Detector(scorer, streaming.Settings(0.5, 1, 3))
    heard = [each for part in np.split(audio_s, 5) for each in detector.feed(part)]
    score_n, at_n = streaming.scores(scorer, audio_s, 1)
    assert [each.at for each in heard] == at_n.tolist()
    found = [each.score for each in heard]
    np.testing.assert_allclose(found, streaming.smooth(score_n, 3), atol=1e-5)


def test_sides_hold_other_clips_and_other_noise(run):
    job = opened(run)
    names = [{clip.name for clip in each.spoken} for each in (job.valid, job.test)]
    assert all(names)
    assert not names[0] & names[1]
    assert set(job.test.noises) == {"hum", "hiss"}
    # A tenth of 30 s each.
    assert [len(noise_s) for noise_s in job.test.noises.values()] == [48_000] * 2
    assert job.test.audio_ns.shape[1] == RATE_HZ
    assert job.conditions == (CLEAN, 10.0)


def test_more_noise_leaves_out_what_training_heard(run, tmp_path, caplog):
    job = opened(run)
    tiny_wake_word.noise(tmp_path, ["rain", "dogs/1", "dogs/2"], seed=5)
    heard = run.parent / "noise" / "hum.wav"
    (tmp_path / "again.wav").write_bytes(heard.read_bytes())
    again = opened(run, tmp_path)
    assert "1 recordings trained with left out: again.wav" in caplog.text
    for before, after in ((job.valid, again.valid), (job.test, again.test)):
        assert set(after.noises) - set(before.noises) == {"rain", "dogs"}
        assert len(after.noises["rain"]) == 2 * RATE_HZ
        assert len(after.noises["dogs"]) == 4 * RATE_HZ
    assert not np.array_equal(again.valid.noises["dogs"], again.test.noises["dogs"])


def test_noise_that_was_all_trained_with_is_refused(run):
    corpus, _ = opening.words.corpus(student.load(run).config)
    with pytest.raises(ValueError, match="part of what the network was trained with"):
        sides.more_noise(run.parent / "noise", RATE_HZ, corpus, ())


def test_evaluate_and_then_detect(run, lines, refused, tmp_path):
    path = tmp_path / "sound.wav"
    files.write(path, np.tile(tiny_wake_word.clip(1800, 3, 1.0), 3), RATE_HZ, {})
    assert "evaluate --workdir" in refused("detect", path, "--workdir", run)
    said = lines("evaluate", "--workdir", run, "--snr-db", "0", "--per-hour", "1e6")
    assert said[0] == "judging run, computed with 32-bit floats"
    assert said[2].startswith("'high', threshold ")
    assert said[-1] == f"Look and listen: {run / 'report' / 'index.html'}"
    assert (run / "report" / "index.html").is_file()
    heard = lines("detect", path, "--workdir", run)
    assert heard[-1].endswith("triggers of 'high'")
    heard = lines("detect", path, "--workdir", run, "--threshold", "0")
    # A window is whole after 0.99 s; then one a second.
    assert [line.split()[0] for line in heard] == ["0.99", "1.99", "2.99", "3"]


def test_an_exported_file_is_judged_on_the_recordings_of_a_run(run, lines, tmp_path):
    trained = student.load(run)
    card = export.Card("mine", 7, trained.labels, trained.front, trained.samples)
    module = tiny_quant.network(True, False, size=(49, 40), classes=2)
    path = export.write(tmp_path, tiny_quant.drawn(module), card, ["npz"])["npz"]
    before = (run / "report").exists()
    options = ["--snr-db", "0", "--per-hour", "1e6", "--step-seconds", "0.2"]
    said = lines("evaluate", "--workdir", run, "--model", path, *options)
    assert said[0] == (
        "judging mine, computed with 8-bit integers of student.npz by the reference"
    )
    folder = tmp_path / "student.npz.report"
    assert said[-1] == f"Look and listen: {folder / 'index.html'}"
    assert (run / "report").exists() == before
    figures = json.loads((folder / "report.json").read_text())
    assert said[0].endswith(figures["arithmetic"])
    _, about = export.read(path)
    assert about["threshold"]["threshold"] == figures["threshold"]
    sound = tmp_path / "sound.wav"
    files.write(sound, tiny_wake_word.clip(1800, 3, 2.0), RATE_HZ, {})
    assert lines("detect", sound, "--model", path)[-1].endswith("triggers of 'high'")


def test_a_network_of_another_rate_or_other_words_is_refused(run):
    known, sounds = network.load(run), opening.Sounds(run)
    slow = known._replace(front=known.front._replace(rate_hz=8000))
    with pytest.raises(ValueError, match="16000 Hz, but the network listens at 8000"):
        opening.load(slow, "", LISTENING, sounds)
    other = known._replace(labels=("yes", "unknown"))
    with pytest.raises(ValueError, match="but the network was trained on yes, unknown"):
        opening.load(other, "", LISTENING, sounds)


def test_verbs_refuse_what_cannot_be_meant(run, refused, tmp_path):
    assert "--per-hour" in refused("evaluate", "--workdir", run, "--per-hour", "0")
    assert "--smooth" in refused("evaluate", "--workdir", run, "--smooth", "0")
    assert "one of the two" in refused("detect", "--workdir", run)
    assert "--model" in refused("detect", tmp_path / "sound.wav")
    assert "not the work directory" in refused("evaluate", "--workdir", tmp_path)


def test_missing_sounddevice_is_told(run, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.delitem(sys.modules, "distill_jax.audio.microphone", raising=False)
    said = refused("detect", "--workdir", run, "--microphone", "--threshold", "0.5")
    assert "pip install 'distill_jax[microphone]'" in said
