import html
import importlib.util
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_wake_word

from distill_jax import (
    classifier,
    exported,
    ledger,
    quant,
    quantised,
    streaming,
    student,
    train,
    workdir,
)
from distill_jax.tasks import TASKS, qat
from distill_jax.word_report import network

CONFIG = Path(__file__).parents[1] / "configs" / "qat.py"
STEPS = 6


def get_config(arg):
    spec = importlib.util.spec_from_file_location("qat_config", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def config_of(origin, arg="int8,tiny"):
    config = get_config(arg)
    config.student = str(origin)
    config.steps = config.eval_every = config.save_every = STEPS
    config.warmup_steps, config.learning_rate = 0, 1e-3
    return config


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return tiny_wake_word.untrained(
        tmp_path_factory.mktemp("qat"), tiny_wake_word.QUICK
    )


@pytest.fixture(scope="module")
def trained(origin, tmp_path_factory):
    """A whole run: its folder and what it yielded."""
    config, folder = config_of(origin), tmp_path_factory.mktemp("run") / "qat"
    data = TASKS["qat"].data(config)
    return folder, list(train.train(config, qat.make(config), data, folder))


@pytest.fixture
def control(trained, tmp_path):
    """Stands for the run without rounding: a copy that says it is."""
    folder = tmp_path / "float"
    shutil.copytree(trained[0], folder)
    config = workdir.read_config(folder)
    workdir.write_json(folder / "config.json", config | {"quantise": False})
    return folder


@pytest.mark.slow
def test_settings_and_labels_are_those_of_the_student(origin, trained):
    mine, its = (workdir.read_config(folder) for folder in (trained[0], origin))
    for name in (*qat.INHERITED, "labels", "data"):
        assert mine[name] == its[name], name


@pytest.mark.slow
def test_statistics_and_ranges_stand_still_for_the_last_part(trained):
    variables = student.load(trained[0], "latest").variables
    # Of six steps four are live: 0.6 of them, rounded.
    assert variables["ranges"]["count"] == STEPS
    assert variables["batch_stats"]["norm_0"]["count"] == 4
    assert trained[1][-1][0] == STEPS and np.isfinite(trained[1][-1][1]["loss"])


@pytest.mark.slow
def test_what_was_evaluated_is_the_integer_network_to_the_last_bit(trained):
    found = quantised.load(trained[0])
    clips = quantised.test_clips(found.trained)
    feature_btf = student.features(found.trained, clips.audio_bs)
    logits_bc, _ = jax.jit(quant.Simulation(found.trained.module).apply)(
        found.variables, feature_btf
    )
    code_bc, _ = quant.reference.run(found.model, found.codes(clips.audio_bs))
    np.testing.assert_array_equal(logits_bc, found.logits(code_bc))
    assert found.bits == 8 and code_bc.shape == (4, 2)


@pytest.mark.slow
def test_evaluate_judges_the_integers_and_their_threshold_goes_into_the_files(
    trained, lines
):
    options = ["--workdir", trained[0], "--per-hour", "1e6", "--snr-db", "0"]
    said = lines("evaluate", *options)
    assert said[0].endswith("integers, weights of 8 bits, simulated")
    lines("export", "--workdir", trained[0], "--format", "npz")
    file = exported.load(trained[0] / "export" / "student.npz")
    known = network.load(trained[0])
    assert file.chosen == known.chosen and file.chosen["word"] == "high"
    # The newest and not the best: the same windows have the same numbers.
    audio_s = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    one_n, other_n = (
        streaming.scores(classifier.scorer(each, 0), audio_s, 1)[0]
        for each in (file, known)
    )
    np.testing.assert_array_equal(one_n, other_n)


def test_training_starts_from_the_student_and_its_calibrated_ranges(origin):
    config = config_of(origin)
    qat.data(config)
    expected = student.load(origin)
    params, state = qat.started(config, expected.module)
    same = np.testing.assert_array_equal
    jax.tree.map(same, params, expected.variables["params"])
    jax.tree.map(same, state["batch_stats"], expected.variables["batch_stats"])
    ranges = state["ranges"]
    assert ranges["count"] == 0 and ranges["logits"]["high"] > 0
    assert ranges["input"]["low"] < 0 < ranges["input"]["high"]


def test_control_has_no_ranges(origin):
    config = config_of(origin, "float,tiny")
    _, state = qat.started(config, None)
    assert set(state) == {"batch_stats"}


@pytest.mark.slow
def test_ledger_has_a_row_for_everything_and_files_run_as_specified(
    trained, control, lines
):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnx")
    options = ["--workdir", trained[0], "--control", control]
    said = lines("ledger", *options)
    rows = json.loads((trained[0] / "report" / ledger.FILE).read_text())["rows"]
    names = [row["name"] for row in rows]
    for part in (
        "float",
        "float: post-training INT8",
        "float: post-training, 4-bit weights",
        "float, same extra steps",
        "trained as 8-bit weights: simulation",
        "trained as 8-bit weights: integer reference",
    ):
        assert part in names
    for row in rows:
        assert row["clips"] == 4 and set(row["right"]) == {"clean", "0 dB"}
        if "Runtime" in row["name"] or "LiteRT" in row["name"]:
            assert row["wrong"] == 0
    page = (trained[0] / "report" / "ledger.html").read_text(encoding="utf-8")
    assert all(html.escape(name) in page for name in names)
    assert any(line.startswith("float |") for line in said)


@pytest.mark.slow
def test_ledger_refuses_other_runs(origin, trained, control, refused):
    assert "is not a run of configs/qat.py" in refused("ledger", "--workdir", origin)
    config = workdir.read_config(control)
    workdir.write_json(control / "config.json", config | {"steps": 7})
    with pytest.raises(ValueError, match="steps 7 there, 6 here"):
        list(ledger.rows(trained[0], control))


def test_every_wrong_setting_is_named(origin):
    config = config_of(origin)
    config.bits, config.dtype, config.live_share = 9, "bfloat16", 1.5
    with pytest.raises(ValueError, match=r"bits is 9.*bfloat16.*live_share is 1.5"):
        qat.check(config)
    with pytest.raises(ValueError, match="int4"):
        get_config("int16")
    assert get_config("int4").bits == 4


@pytest.mark.slow
def test_a_missing_student_or_a_run_of_another_kind_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="no student to go on from"):
        qat.data(get_config("int8"))
    with pytest.raises(FileNotFoundError, match="is missing"):
        qat.taught(str(tmp_path))
    with pytest.raises(ValueError, match="'qat', expected 'distill'"):
        qat.taught(str(trained[0]))
