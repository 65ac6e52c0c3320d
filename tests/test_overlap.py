import numpy as np
import pytest

from distill_jax.audio import overlap

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("length", [1, 40, 99, 100, 101, 150, 151, 777])
def test_windows_cover_any_length_in_order(length):
    audio_s = RNG.standard_normal(length).astype(np.float32)
    window_ns = overlap.windows(audio_s, samples=100, hop=50)
    assert window_ns.shape[1] == 100
    starts = 50 * np.arange(len(window_ns))
    padded_s = np.pad(audio_s, (0, starts[-1] + 100 - length))
    for start, window_s in zip(starts, window_ns, strict=True):
        np.testing.assert_array_equal(window_s, padded_s[start : start + 100])
    # No window more than is needed.
    assert len(window_ns) == 1 or starts[-1] + 50 < length <= starts[-1] + 100


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("frames", [7, 94])
def test_cross_fade_of_a_constant_is_that_constant(count, frames):
    constant_nftc = np.full((count, 3, frames, 2), 0.7, np.float32)
    joined_ftc = overlap.cross_fade(constant_nftc, frames // 2)
    assert joined_ftc.shape == (3, (count - 1) * (frames // 2) + frames, 2)
    np.testing.assert_allclose(joined_ftc, 0.7, rtol=1e-6)


def test_cross_fade_gives_back_a_spectrogram_cut_into_windows():
    whole_ftc = RNG.standard_normal((5, 94 + 3 * 47, 2)).astype(np.float32)
    parts = [whole_ftc[:, start : start + 94] for start in range(0, 4 * 47, 47)]
    joined_ftc = overlap.cross_fade(np.stack(parts), 47)
    np.testing.assert_allclose(joined_ftc, whole_ftc, atol=1e-6)


def test_cross_fade_changes_evenly_from_window_to_window():
    step_nftc = np.zeros((2, 1, 8, 1), np.float32)
    step_nftc[1] = 1.0
    joined_t = overlap.cross_fade(step_nftc, 4)[0, :, 0]
    # Weights 4 3 2 1 against 1 2 3 4, by hand.
    np.testing.assert_allclose(joined_t, [0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


@pytest.mark.parametrize("length", [0, 1, 2, 5, 100])
def test_fade_keeps_length_and_middle_and_ends_near_zero(length):
    faded_s = overlap.fade(np.ones(length, np.float32), 10)
    assert faded_s.shape == (length,)
    assert (np.diff(faded_s[: length // 2]) >= 0).all()
    if length == 100:
        assert faded_s[0] < 0.01 and faded_s[-1] < 0.01
        np.testing.assert_array_equal(faded_s[10:-10], 1.0)
