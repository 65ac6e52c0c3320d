import numpy as np
import pytest

from distill_jax.audio import files
from distill_jax.data import noises

RATE_HZ = 16_000


def made(colour, way, seed=0):
    rng = np.random.default_rng(seed)
    return noises.noise(colour, way, (20.0, RATE_HZ), rng).astype(np.float64)


def power_f(audio_s):
    """Power in bands from 100 to 6,400 Hz, an octave each, per hertz."""
    spectrum_f = np.abs(np.fft.rfft(audio_s)) ** 2
    frequency_f = np.fft.rfftfreq(len(audio_s), 1 / RATE_HZ)
    edges = 100.0 * 2.0 ** np.arange(7)
    return np.array(
        [
            spectrum_f[(frequency_f >= low) & (frequency_f < 2 * low)].mean()
            for low in edges[:-1]
        ]
    )


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_power_falls_as_the_colour_says(colour):
    slope = np.polyfit(np.arange(6), np.log2(power_f(made(colour, "steady"))), 1)[0]
    assert slope == pytest.approx(-colour, abs=0.05)


def test_hum_is_at_harmonics_of_the_mains():
    spectrum_f = np.abs(np.fft.rfft(made(0.0, "hum")))
    loudest_hz = np.argsort(spectrum_f)[-3:] / 20.0
    np.testing.assert_allclose(loudest_hz % noises.MAINS_HZ, 0.0, atol=1e-9)


@pytest.mark.parametrize(("way", "least"), [("gusts", 1.5), ("crackle", 3.0)])
def test_what_comes_and_goes_does(way, least):
    def uneven(audio_s, size):
        level_n = np.sqrt(np.mean(audio_s.reshape(-1, size) ** 2, axis=1))
        return np.percentile(level_n, 95) / np.median(level_n)

    size = 8_000 if way == "gusts" else 160
    assert uneven(made(1.0, way), size) > least > uneven(made(1.0, "steady"), size)


def test_twelve_recordings_differ_and_come_again(tmp_path):
    for name in ("one", "two"):
        noises.write(tmp_path / name, RATE_HZ, seed=3)
    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert len({p.read_bytes() for p in one}) == 12
    audio_s = files.read(one[0], RATE_HZ)
    assert np.sqrt(np.mean(audio_s**2)) == pytest.approx(noises.RMS, rel=0.03)
