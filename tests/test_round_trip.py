"""The representation on real recordings, with no network between the two ways."""

import numpy as np
import pytest

from distill_jax.audio import distance, files, phase

SPEC = phase.Spectrogram()
SAMPLES = 2 * SPEC.rate_hz
KINDS = ("clock_tick", "dog_bark", "rooster", "sea_waves")
EACH = 3


@pytest.fixture(scope="module")
def found(recordings):
    """{kind: {measure: mean}} of the first recordings of each kind."""
    return {kind: measured(recordings / "esc10_4" / kind) for kind in KINDS}


def measured(folder):
    paths = sorted(path for path in folder.rglob("*") if path.suffix in files.SUFFIXES)
    clips = [files.read(path, SPEC.rate_hz)[:SAMPLES] for path in paths[:EACH]]
    audio_bs = np.stack([np.pad(x_s, (0, SAMPLES - len(x_s))) for x_s in clips])
    decoded_bs = phase.decode(phase.encode(audio_bs, SPEC), SPEC, 32, SAMPLES)
    return {
        "mrstft": distance.mrstft(audio_bs, decoded_bs).mean(),
        "lsd_db": distance.log_spectral_distance_db(audio_bs, decoded_bs).mean(),
        "sc": distance.spectral_convergence(audio_bs, decoded_bs).mean(),
    }


def mean(found, measure):
    return np.mean([values[measure] for values in found.values()])


def test_recordings_come_back(found):
    assert mean(found, "mrstft") <= 0.80
    assert mean(found, "lsd_db") <= 4.0


# Noise has no phase to find: ticks and waves stay above the aim of 0.16, see
# benchmarks/RESULTS.md.
@pytest.mark.parametrize("kind", ["dog_bark", "rooster"])
def test_recordings_with_a_pitch_come_back_in_their_spectrum(found, kind):
    assert found[kind]["sc"] <= 0.16
