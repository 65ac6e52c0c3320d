import json
import math
import struct

import numpy as np
import pytest

from distill_jax import metrics


def lines(path):
    return [
        json.loads(line)
        for line in (path / "metrics.jsonl").read_text().split("\n")
        if line
    ]


def test_means_weigh_every_example_once():
    rng = np.random.default_rng(0)
    value_b, weight_b = rng.normal(size=30), rng.integers(0, 2, size=30)
    totals = {}
    for part in np.split(np.arange(30), [7, 8, 21]):
        pair = np.sum((value_b * weight_b)[part]), np.sum(weight_b[part])
        totals = metrics.add(totals, {"loss": pair})
    expected = np.average(value_b, weights=weight_b)
    assert metrics.means(totals)["loss"] == pytest.approx(expected, rel=1e-12)
    assert math.isnan(metrics.means({"loss": (0.0, 0)})["loss"])


def test_many_small_numbers_are_added_in_double_precision():
    totals = {}
    for _ in range(10_000):
        totals = metrics.add(totals, {"loss": (np.float32(0.1), np.float32(1))})
    assert metrics.means(totals)["loss"] == pytest.approx(np.float32(0.1), rel=1e-12)


def test_records_hold_step_split_and_values(tmp_path):
    with metrics.Writer(tmp_path, every=2) as writer:
        for step in (1, 2, 3):
            extra = {"valid/loss": 7.0} if step == 3 else {}
            writer.write(step, {"loss": step / 2, **extra})
    assert lines(tmp_path) == metrics.read(tmp_path)
    assert metrics.read(tmp_path) == [
        {"step": 2, "split": "train", "values": {"loss": 1.0}, "non_finite": 0},
        {"step": 3, "split": "train", "values": {"loss": 1.5}, "non_finite": 0},
        {"step": 3, "split": "valid", "values": {"loss": 7.0}, "non_finite": 0},
    ]


def test_resumed_run_drops_what_lies_ahead_and_half_lines(tmp_path):
    with metrics.Writer(tmp_path) as writer:
        for step in (1, 2, 3, 4):
            writer.write(step, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "split": "tr')
    assert [record["step"] for record in metrics.read(tmp_path)] == [1, 2, 3, 4]
    with metrics.Writer(tmp_path) as writer:
        writer.write(3, {"loss": 2.0})
        # On disk at once: the next line may never come.
        assert [(r["step"], r["values"]["loss"]) for r in lines(tmp_path)] == [
            (1, 1.0),
            (2, 1.0),
            (3, 2.0),
        ]


def test_writer_that_got_nothing_leaves_the_records(tmp_path):
    with metrics.Writer(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})
    with metrics.Writer(tmp_path):
        pass
    assert len(metrics.read(tmp_path)) == 1
    assert metrics.read(tmp_path / "nowhere") == []


def test_numbers_that_json_cannot_write_are_null_and_counted(tmp_path):
    with metrics.Writer(tmp_path) as writer:
        writer.write(1, {"a": math.nan, "b": -math.inf, "c": 1.0, "valid/d": math.inf})
        assert writer.non_finite == 3
    first, second = lines(tmp_path)
    assert first["values"] == {"a": None, "b": None, "c": 1.0}
    assert (first["non_finite"], second["non_finite"]) == (2, 1)


def test_picture_has_low_frequencies_at_the_bottom():
    value_bft = np.zeros((2, 3, 4))
    value_bft[0, 0, 0] = 1.0
    value_bft[1, 2, 3] = np.nan
    image = metrics.picture(value_bft, (0.0, 1.0))
    assert image.shape == (3, 9, 3)
    assert image.dtype == np.uint8
    assert image[2, 0].tolist() == [253, 231, 37]
    assert image[0, 0].tolist() == [68, 1, 84]
    assert (image[:, 4] == 255).all()
    assert image[0, 8].tolist() == [255, 0, 0]


def test_picture_follows_viridis():
    matplotlib = pytest.importorskip("matplotlib")
    ramp_bft = np.linspace(0, 1, 101)[None, None]
    image = metrics.picture(ramp_bft, (0.0, 1.0))
    expected = matplotlib.colormaps["viridis"](ramp_bft[0, 0])[:, :3] * 255
    assert np.abs(image[0] - expected).max() < 18  # nine points, straight lines


def test_flat_picture_is_drawn():
    assert metrics.picture(np.ones((1, 2, 2)), (1.0, 1.0)).shape == (2, 2, 3)


def events(path):
    """TensorBoard's events, read with its own protocol buffers."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted((path / "tensorboard").iterdir()):
        data = file.read_bytes()
        while data:
            [length] = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_tensorboard_gets_scalars_pictures_and_sounds(tmp_path):
    audio_bs = np.sin(np.arange(800) / 5)[None].repeat(2, axis=0)
    arrays = {"preview/tone_bs": audio_bs, "preview/mel_bft": np.ones((2, 8, 5))}
    with metrics.Writer(tmp_path, rate_hz=16_000, every=10) as writer:
        writer.write(7, {"loss": 2.0, "valid/loss": 3.0, **arrays})
    values = {v.tag: (e.step, v) for e in events(tmp_path) for v in e.summary.value}
    assert set(values) == {
        "train/loss",
        "valid/loss",
        "tone_bs/0",
        "tone_bs/1",
        "mel_bft",
    }
    assert {step for step, _ in values.values()} == {7}
    assert values["valid/loss"][1].simple_value == 3.0
    sound = values["tone_bs/0"][1].audio
    assert (sound.sample_rate, sound.length_frames) == (16_000, 800)
    image = values["mel_bft"][1].image
    assert (image.height, image.width) == (8, 11)


def test_counts_in_bins_are_a_list_and_a_histogram(tmp_path):
    with metrics.Writer(tmp_path) as writer:
        writer.write(1, {"loss": 1.0, "weight_n": np.array([0, 3, 0, 1])})
        assert writer.non_finite == 0
    [record] = lines(tmp_path)
    assert record["values"] == {"loss": 1.0, "weight_n": [0, 3, 0, 1]}
    [histogram] = [
        value.histo
        for event in events(tmp_path)
        for value in event.summary.value
        if value.tag == "train/weight_n"
    ]
    assert (histogram.num, histogram.max) == (4, 1.0)
    assert histogram.sum == pytest.approx(3 * 0.375 + 0.875)
    assert list(histogram.bucket) == [0, 3, 0, 1]


def test_resumed_run_purges_tensorboard(tmp_path):
    for step in (5, 3):
        with metrics.Writer(tmp_path) as writer:
            writer.write(step, {"loss": 1.0})
    starts = [e.step for e in events(tmp_path) if e.HasField("session_log")]
    assert starts[-1] == 3


def test_maps_in_one_record_share_their_colours(tmp_path):
    dark_bft, bright_bft = np.zeros((1, 4, 4)), np.ones((1, 4, 4))
    with metrics.Writer(tmp_path) as writer:
        writer.write(1, {"preview/a_bft": dark_bft, "preview/b_bft": bright_bft})
    images = {
        v.tag: v.image.encoded_image_string
        for e in events(tmp_path)
        for v in e.summary.value
        if v.HasField("image")
    }
    assert images["a_bft"] != images["b_bft"]


def test_preview_without_axes_in_its_name_is_refused(tmp_path):
    with (
        metrics.Writer(tmp_path) as writer,
        pytest.raises(ValueError, match=r"\['thing'\].*name them by their axes"),
    ):
        writer.write(1, {"preview/thing": np.zeros(3)})
