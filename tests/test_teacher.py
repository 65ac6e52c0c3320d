import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_extraction
import tiny_speech
import tiny_teacher
import tiny_words
from tiny_extraction import voice

from distill_jax import optimizer, teachers
from distill_jax.models import hf
from distill_jax.step import make_step
from distill_jax.task import TrainState
from distill_jax.tasks import teacher

ROOT = Path(__file__).parents[1]
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
WAVE = {**tiny_speech.WAVE, **STABLE, "conv_bias": True}


# What of it moves in each way to train it.
TOP = "encoder/encoder/layers_2", "encoder/encoder_norm"
BATCH = {
    "audio_bs": np.stack([voice(seed, 4000) for seed in range(4)]),
    "label_b": np.array([0, 1, 0, 1]),
    "weight_b": np.ones(4, np.float32),
    "seed_b": np.arange(4, dtype=np.uint32),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as transformers saves it."""
    path = tmp_path_factory.mktemp("encoder")
    fields = WAVE | {"num_hidden_layers": 3}
    return tiny_extraction.save_model(path, fields, {"do_normalize": True})


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder for recordings."""
    return tmp_path_factory.mktemp("recordings")


def stepped(config):
    """Parameters by path, before and after an update on a batch as it is."""
    task = teacher.make(config)._replace(annotate=lambda _, batch: batch)
    params, _ = task.load(jax.tree.map(jnp.asarray, tiny_teacher.params(config)))
    before = jax.tree.map(np.asarray, optimizer.named(params))
    opt_state = optimizer.adamw(config).init(
        optimizer.trainable(params, task.trainable)
    )
    zero, ema = np.int32(0), jax.tree.map(jnp.copy, params)
    state = TrainState(zero, params, {}, opt_state, ema, zero, zero)
    state, _ = make_step(config, task)(state, (), BATCH)
    return before, jax.tree.map(np.asarray, optimizer.named(state.params))


def test_training_the_head_moves_the_head_alone(folder, room):
    config = tiny_teacher.config(folder=str(folder), train="head", weighted=True)
    before, after = stepped(tiny_teacher.hearing(config, room))
    moved = {
        path.split("/")[0] for path in before if (before[path] != after[path]).any()
    }
    assert moved == {"projector", "classifier", "layer_weights"}
    read, _ = teachers.read(folder, teachers.fields(config))
    for path, array in optimizer.named({"encoder": read["params"]}).items():
        np.testing.assert_array_equal(after[path], array)


def paths(config):
    shapes, _ = jax.eval_shape(teacher.make(config).init, jax.random.key(0))
    return optimizer.named(shapes)


@pytest.mark.parametrize(
    ("settings", "still"),
    [
        ({"train": "all", "freeze_feature_encoder": False}, ()),
        ({"train": "all", "freeze_feature_encoder": True}, ("encoder/waveform",)),
    ],
)
def test_training_everything_may_spare_the_convolutions(folder, settings, still):
    config = tiny_teacher.config(folder=str(folder), **settings)
    found, names = teacher.make(config).trainable, paths(config)
    assert optimizer.trainable(names, found).keys() == {
        path for path in names if not path.startswith(still or "-")
    }


def test_training_the_top_moves_top_layers_last_norm_and_head(folder):
    config = tiny_teacher.config(folder=str(folder), train="top", top_layers=1)
    names = paths(config)
    found = optimizer.trainable(names, teacher.make(config).trainable)
    assert found.keys() == {
        path for path in names if path.startswith((*TOP, "projector", "classifier"))
    }


@pytest.mark.parametrize("train", ["all", "top"])
def test_layers_learn_the_slower_the_lower_they_are(folder, train):
    config = tiny_teacher.config(
        folder=str(folder), train=train, top_layers=2, layer_decay=0.5
    )
    moving = optimizer.trainable(paths(config), teacher.make(config).trainable)
    optimizer.check_scales(moving, config.rate_scale)
    factor = {path: optimizer.rate_scale(path, config.rate_scale) for path in moving}
    assert factor["projector/kernel"] == factor["classifier/bias"] == 1
    assert factor["encoder/encoder/layers_2/attention/query/kernel"] == 0.5
    assert factor["encoder/encoder/layers_1/final_norm/scale"] == 0.25
    assert factor["encoder/encoder_norm/scale"] == 0.5
    if train == "all":
        assert factor["encoder/encoder/layers_0/attention/query/kernel"] == 0.125
        assert factor["encoder/waveform/conv_0/kernel"] == 0.0625
        assert factor["encoder/mask_embedding"] == 0.0625


def test_own_rates_come_first_and_are_not_doubled(folder):
    config = tiny_teacher.config(folder=str(folder), layer_decay=0.5)
    config.rate_scale = ((".*/bias", 2.0), *config.rate_scale)
    before = config.rate_scale
    teacher.adopt(config)
    assert config.rate_scale == before


def test_a_folder_is_written_to_the_config(folder):
    config = tiny_teacher.config(folder=str(folder))
    assert config.teacher.encoder.num_hidden_layers == 3
    assert config.teacher.form.masked is False
    module = teachers.network(config)
    assert module.encoder.waveform.widths == (6, 7, 8)
    assert (module.classes, module.inner) == (2, 64)
    config.teacher.folder = ""
    assert teachers.network(config) == module


@pytest.mark.parametrize(("train", "drawn"), [("head", False), ("all", True)])
def test_dropouts_are_on_where_the_encoder_is_trained(folder, train, drawn):
    config = tiny_teacher.config(folder=str(folder), train=train)
    loss_fn, params = teacher.make(config).loss_fn, tiny_teacher.params(config)
    program = jax.make_jaxpr(loss_fn)(params, {}, BATCH, jax.random.key(0))
    assert ("random_bits" in str(program)) is drawn


@pytest.mark.parametrize(
    ("arg", "settings", "said"),
    [
        ("hubert,tiny", {}, "holds an encoder of the type 'wav2vec2'.*'hubert'"),
        ("wav2vec2,tiny", {"train": "some"}, "'some', expected 'head', 'top' or"),
        ("wav2vec2,tiny", {"train": "top", "top_layers": 9}, "is 9, expected 1 to 3"),
    ],
)
def test_settings_that_do_not_fit_the_folder_are_refused(folder, arg, settings, said):
    with pytest.raises(ValueError, match=said):
        tiny_teacher.config(arg, folder=str(folder), **settings)


def test_settings_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="random weights would stay so"):
        tiny_teacher.config(train="head")
    with pytest.raises(ValueError, match="no convolutions over the waveform"):
        tiny_teacher.config("wav2vec2_bert,tiny", freeze_feature_encoder=True)
    config = tiny_teacher.get_config("wav2vec2,tiny")
    config.front_end.rate_hz = 8000
    with pytest.raises(ValueError, match=r"takes 16000 Hz, .* is 8000; set it to"):
        teacher.adopt(config)
    config = tiny_teacher.get_config("hubert,tiny")
    config.teacher.encoder.conv_pos_batch_norm = True
    with pytest.raises(ValueError, match="choose another checkpoint"):
        teacher.adopt(config)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="wav2vec2_bert"):
        tiny_teacher.get_config("whisper")
    with pytest.raises(ValueError, match="stand_in or tiny"):
        tiny_teacher.get_config("wavlm,huge")


@pytest.mark.parametrize("kind", ["wav2vec2_bert", "wav2vec2", "hubert", "wavlm"])
def test_published_sizes_are_the_defaults(kind):
    config = tiny_teacher.get_config(kind)
    config.labels = ("a", "b")
    expected = hf.from_config({"model_type": config.teacher.encoder.model_type})
    found = teachers.network(config).encoder
    assert found.clone(dropouts=expected.dropouts, augment=expected.augment) == expected


@pytest.mark.slow
def test_command_trains_calibrates_and_reports(tmp_path, one_device):
    root = tiny_words.recordings(tmp_path / "words")
    command = [sys.executable, "-m", "distill_jax.main", f"--workdir={tmp_path}/run"]
    command += [f"--config={ROOT}/configs/teacher.py:wav2vec2,tiny"]
    command += [f"--config.data.root={root}"]
    environment = one_device | {"XDG_CACHE_HOME": str(tmp_path)}
    job = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert job.returncode == 0, job.stderr
    assert "\ntest: " in job.stdout and "Look: " in job.stdout
    html = (tmp_path / "run" / "report" / "index.html").read_text("utf-8")
    assert all(name in html for name in ("curves", "confusion", "reliability"))
    opened = teachers.load(tmp_path / "run", ("high", "low"))
    audio_bs = np.zeros((2, 16_000), np.float32)
    logits_bc, _ = teachers.outputs(
        opened.module, opened.form, opened.variables, audio_bs
    )
    assert logits_bc.shape == (2, 2) and np.isfinite(logits_bc).all()
