import librosa
import numpy as np
import pytest

from distill_jax.audio import front_end
from distill_jax.audio.front_end import FrontEnd

OTHERS = [FrontEnd(), FrontEnd(window=400, hop=160, low_hz=20.0, floor=1e-3, shift=1.0)]


def noise(seed, *shape):
    rng = np.random.default_rng(seed)
    level_b1 = np.logspace(-3, -0.5, shape[0])[:, None]
    return (rng.normal(size=shape) * level_b1).astype(np.float32)


def expected(audio_bs, front):
    # librosa puts a window that is shorter than its transform into the middle of it;
    # the power does not depend on where it is.
    before = (front.n_fft - front.window) // 2
    padded_bs = np.pad(
        audio_bs, ((0, 0), (before, front.n_fft - front.window - before))
    )
    power_bft = librosa.feature.melspectrogram(
        y=padded_bs,
        sr=front.rate_hz,
        n_fft=front.n_fft,
        win_length=front.window,
        hop_length=front.hop,
        n_mels=front.mels,
        fmin=front.low_hz,
        fmax=front.high_hz,
        center=False,
        htk=True,
        norm=None,
    )
    return front.scale * (np.log(power_bft + front.floor) + front.shift).swapaxes(1, 2)


@pytest.mark.parametrize("front", OTHERS, ids=["default", "other"])
@pytest.mark.parametrize("samples", [16_000, 7321])
def test_features_equal_librosa(front, samples):
    audio_bs = noise(0, 3, samples)
    found_btf = front_end.log_mel(audio_bs, front)
    assert found_btf.shape == (3, front_end.frames(samples, front), front.mels)
    np.testing.assert_allclose(found_btf, expected(audio_bs, front), atol=1e-5)


def test_a_frame_depends_on_its_own_window_only():
    front = FrontEnd()
    audio_bs = noise(1, 1, 16_000)
    frame = 7
    first, last = frame * front.hop, frame * front.hop + front.window
    changed_bs = noise(2, 1, 16_000)
    changed_bs[:, first:last] = audio_bs[:, first:last]
    one_btf, two_btf = (
        front_end.log_mel(x_bs, front) for x_bs in (audio_bs, changed_bs)
    )
    np.testing.assert_array_equal(one_btf[:, frame], two_btf[:, frame])
    assert (one_btf[:, frame - 1] != two_btf[:, frame - 1]).any()
    assert (one_btf[:, frame + 1] != two_btf[:, frame + 1]).any()


def test_a_stream_gives_the_frames_of_the_file():
    front = FrontEnd()
    audio_bs = noise(3, 1, 3 * front.window + 5 * front.hop)
    whole_btf = front_end.log_mel(audio_bs, front)
    for frame in range(whole_btf.shape[1]):
        start = frame * front.hop
        one_btf = front_end.log_mel(audio_bs[:, start : start + front.window], front)
        np.testing.assert_allclose(one_btf[0, 0], whole_btf[0, frame], atol=1e-5)


def test_silence_is_the_floor_and_speech_is_within_a_few_units():
    front = FrontEnd()
    silent_btf = front_end.log_mel(np.zeros((1, 16_000), np.float32), front)
    np.testing.assert_allclose(
        silent_btf, front.scale * (np.log(front.floor) + front.shift), rtol=1e-6
    )
    loud_btf = front_end.log_mel(np.ones((1, 16_000), np.float32), front)
    assert np.abs(loud_btf).max() < 4


def test_frames_are_counted_without_a_partial_one():
    front = FrontEnd()
    counts = [front_end.frames(n, front) for n in (0, 479, 480, 799, 800, 16_000)]
    assert counts == [0, 0, 1, 1, 2, 49]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hop": 0}, "positive"),
        ({"high_hz": 9000.0}, "half the rate"),
        ({"low_hz": 7600.0}, "should rise"),
        ({"window": 600}, "next power of two"),
        ({"mels": 200}, "fewer mels"),
    ],
)
def test_impossible_settings_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        front_end.check(FrontEnd()._replace(**change))


def test_audio_without_a_frame_is_refused():
    with pytest.raises(ValueError, match="at least 480"):
        front_end.log_mel(np.zeros((1, 479), np.float32), FrontEnd())


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_frames_in_turn_are_the_same_to_the_last_bit_however_many(count):
    front = FrontEnd()
    audio_bs = noise(3, 2, 199 * front.hop + front.window)
    whole_btf = front_end.log_mel_in_turn(audio_bs, front)
    size = (count - 1) * front.hop + front.window
    for first in (0, 200 - count):
        part_bs = audio_bs[:, first * front.hop :][:, :size]
        found_btf = front_end.log_mel_in_turn(part_bs, front)
        np.testing.assert_array_equal(found_btf, whole_btf[:, first : first + count])


@pytest.mark.parametrize("front", OTHERS, ids=["default", "other"])
def test_frames_in_turn_are_those_of_log_mel(front):
    audio_bs = noise(4, 2, 16_000)
    found_btf = front_end.log_mel_in_turn(audio_bs, front)
    np.testing.assert_allclose(
        found_btf, front_end.log_mel(audio_bs, front), atol=1e-6, rtol=0
    )
    assert front_end.log_mel_in_turn(audio_bs[:, :100], front).shape == (2, 0, 40)
