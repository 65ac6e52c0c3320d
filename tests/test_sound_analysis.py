import numpy as np
import pytest
import scipy.stats
import tiny_vae

from distill_jax import sound_analysis
from distill_jax.audio import descriptors, phase
from distill_jax.sound_analysis import axes, evidence, records

RNG = np.random.default_rng(0)
LATENTS = 32
# An analysis decodes thousands of windows.
WINDOW_SECONDS = 0.25


def cloud(count=200, seed=1):
    """Latents whose variance falls from direction to direction, each a mixture."""
    rng = np.random.default_rng(seed)
    turn_zz = np.linalg.qr(rng.standard_normal((LATENTS, LATENTS)))[0]
    std_z = 0.75 ** np.arange(LATENTS)
    score_nz = rng.standard_normal((count, LATENTS)) * std_z[None, :]
    return np.float32(score_nz @ turn_zz + 3.0), turn_zz


def test_axes_are_the_directions_the_cloud_was_made_of():
    mean_nz, turn_zz = cloud(20_000)
    found = axes.fit(mean_nz)
    count = len(found.std_a)
    np.testing.assert_allclose(
        found.vector_az @ found.vector_az.T, np.eye(count), atol=1e-9
    )
    along_a = np.abs(np.sum(found.vector_az * turn_zz[:count], axis=1))
    assert along_a.min() > 0.98
    np.testing.assert_allclose(found.std_a, 0.75 ** np.arange(count), rtol=0.03)
    assert count <= axes.MOST_AXES and (found.share_a >= axes.LEAST_SHARE).all()
    assert found.share_a[-1] * 0.75**2 < axes.LEAST_SHARE * 1.05
    # Of a normal distribution 2 % lie beyond 2.054 standard deviations.
    np.testing.assert_allclose(np.abs(found.safe_a2), 2.054, atol=0.12)


def test_a_cloud_without_a_strong_direction_has_one_axis():
    assert len(axes.fit(RNG.standard_normal((5000, 100))).std_a) == 1


@pytest.mark.parametrize(
    ("mean_nz", "said"),
    [
        (np.ones((axes.FEWEST - 1, 4)), "at least 8 windows"),
        (np.full((20, 4), np.nan), "finite"),
        (np.ones((20, 4)), "collapsed"),
    ],
)
def test_latents_without_axes_are_refused(mean_nz, said):
    with pytest.raises(axes.LatentsError, match=said):
        axes.fit(mean_nz)


def test_sweep_moves_along_its_axis_only():
    mean_nz, _ = cloud()
    found = axes.fit(mean_nz)
    swept_abpz = axes.sweep(found, mean_nz[:3], 7)
    for axis, (low, high) in enumerate(found.safe_a2):
        for base, moved_pz in enumerate(swept_abpz[axis]):
            place_pa = axes.positions(found, moved_pz)
            np.testing.assert_allclose(place_pa[:, axis], np.linspace(low, high, 7))
            others_a = np.delete(
                axes.positions(found, mean_nz[base : base + 1])[0], axis
            )
            others_pa = np.delete(place_pa, axis, axis=1)
            np.testing.assert_allclose(others_pa, np.tile(others_a, (7, 1)), atol=1e-5)
            step_pz = moved_pz - moved_pz[:1]
            across_pz = step_pz - np.outer(
                step_pz @ found.vector_az[axis], found.vector_az[axis]
            )
            np.testing.assert_allclose(across_pz, 0, atol=1e-6)


def test_null_directions_are_as_long_and_go_as_far_but_elsewhere():
    found = axes.fit(cloud()[0])
    null = axes.turned(found, 50, seed=0)
    np.testing.assert_allclose(np.linalg.norm(null.vector_az, axis=1), 1)
    np.testing.assert_array_equal(null.std_a, np.tile(found.std_a, 50))
    np.testing.assert_array_equal(null.safe_a2, np.tile(found.safe_a2, (50, 1)))
    cosine_n = np.sum(null.vector_az * np.tile(found.vector_az, (50, 1)), axis=1)
    assert abs(cosine_n.mean()) < 0.05
    np.testing.assert_allclose(np.mean(cosine_n**2), 1 / LATENTS, rtol=0.3)


def test_spearman_equals_scipys_with_ties_and_gaps():
    value_abp5 = RNG.integers(0, 5, (4, 6, 9, 5)).astype(float)
    value_abp5[0, :, 3] = np.nan
    found_ab5 = evidence.spearman(value_abp5)
    for at in np.ndindex(found_ab5.shape):
        value_p = value_abp5[at[0], at[1], :, at[2]]
        known = np.isfinite(value_p)
        expected = scipy.stats.spearmanr(np.arange(9)[known], value_p[known])
        np.testing.assert_allclose(found_ab5[at], expected.statistic, atol=1e-12)


def test_spearman_of_nothing_and_of_a_constant():
    value_abp5 = np.full((1, 1, 7, 1), np.nan)
    value_abp5[0, 0, :4] = 1.0
    assert np.isnan(evidence.spearman(value_abp5)).all()
    assert (evidence.spearman(np.ones((1, 1, 7, 1))) == 0).all()


def test_mean_over_base_points_needs_half_of_them():
    value_ab5 = np.full((1, 4, 2), np.nan)
    value_ab5[0, :2, 0], value_ab5[0, 0, 1] = (1.0, 3.0), 5.0
    np.testing.assert_array_equal(evidence.mean_over_bases(value_ab5), [[2.0, np.nan]])


def test_spread_leaves_out_what_is_mostly_unknown_or_constant():
    value_n5 = np.stack(
        [np.array([1.0, 3, np.nan, np.nan]), np.array([1.0, np.nan, np.nan, np.nan])], 1
    )
    value_n5 = np.concatenate([value_n5, np.full((4, 1), 7.0)], axis=1)
    np.testing.assert_array_equal(evidence.spread(value_n5), [1.0, np.nan, np.nan])


def test_null_limit_is_the_greatest_of_19_families_by_hand():
    null_fa5 = np.ones((19, 2, 2))
    null_fa5[4, 1, 0] = -3.0
    null_fa5[..., 1] *= 10  # another scale, and no outlier
    rms = np.sqrt((37 + 9) / 38)
    limit_5 = evidence.null_limit(null_fa5)
    np.testing.assert_allclose(limit_5, [3.0, 3.0 / rms * 10])
    null_fa5[..., 1] = np.nan
    np.testing.assert_array_equal(evidence.null_limit(null_fa5), [3.0, np.nan])


def test_one_analysis_in_twenty_exceeds_the_limit_by_chance():
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(600):
        changes_fa5 = rng.standard_normal((20, 10, 5)) * np.array([1, 3, 1, 10, 1])
        limit_5 = evidence.null_limit(changes_fa5[1:])
        wrong.append((np.abs(changes_fa5[0]) > limit_5[None, :]).any())
    assert 0.02 < np.mean(wrong) < 0.09


def effects(rho_a5, change_a5, limit=0.5):
    ones_5 = np.ones(5)
    path_ap5 = np.zeros((len(rho_a5), 7, 5))
    return evidence.Effects(
        np.array(rho_a5), np.array(change_a5), limit * ones_5, 10 * ones_5, path_ap5
    )


def test_a_name_needs_correlation_size_audibility_and_the_null():
    rho_a5, change_a5 = np.full((1, 5), 0.95), np.full((1, 5), 1.0)
    for spoilt in (
        effects(0.8 * rho_a5, change_a5),
        effects(rho_a5, 0.4 * change_a5),
        effects(rho_a5, 0.2 * change_a5, limit=0.0),
        effects(np.nan * rho_a5, change_a5),
        effects(rho_a5, np.nan * change_a5),
        effects(rho_a5, change_a5, limit=np.nan),
        effects(rho_a5, change_a5)._replace(corpus_std_5=np.full(5, 1e-3)),
    ):
        assert evidence.names(spoilt) == {}
    assert evidence.names(effects(rho_a5, change_a5)) != {}


def test_a_name_belongs_to_the_axis_that_changes_it_most():
    rho_a5 = np.ones((3, 5))
    change_a5 = np.zeros((3, 5))
    change_a5[0, :2] = 2.0, 1.5  # loses the first to axis 1, keeps the second
    change_a5[1, 0] = -3.0
    change_a5[2, 1] = 1.0  # loses its only one
    assert evidence.names(effects(rho_a5, change_a5)) == {1: 0, 0: 1}


def painted(mean_nz, turn_zz):
    """A decoder that makes the first direction brightness and the third level."""
    mean_z = mean_nz.mean(axis=0)
    frequency_ft = np.random.default_rng(5).uniform(-1, 1, (64, 32))

    def decode(latent_bz):
        score_bz = (latent_bz - mean_z[None, :]) @ turn_zz.T
        tilt_b, level_b = np.tanh(score_bz[:, 0] / 3), score_bz[:, 2] / 0.75**2
        band_f = np.linspace(-1, 1, 64)
        power_bf = np.exp(-2.0 * np.square(band_f[None, :] + tilt_b[:, None]))
        power_bf *= np.exp(level_b)[:, None] / power_bf.sum(axis=1, keepdims=True)
        feature_bftc = np.zeros((len(latent_bz), 64, 32, 2), np.float32)
        feature_bftc[..., 0] = (np.log1p(power_bf / 1e-3) / phase.LEVEL_NEPERS)[
            ..., None
        ]
        feature_bftc[..., 1] = frequency_ft[None]
        return feature_bftc

    return decode


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The analysis of a decoder that is known, and the folder it was written to."""
    workdir = tmp_path_factory.mktemp("run")
    (workdir / "report").mkdir()
    mean_nz, turn_zz = cloud()
    decode = painted(mean_nz, turn_zz)
    model = tiny_vae.untrained(0, WINDOW_SECONDS)._replace(decode=decode, step=5)
    names = np.array([f"dogs/{n}.wav" for n in range(100)] + ["cat_1.wav"] * 100)
    latents = {"mean_nz": mean_nz, "names": names}
    return workdir, sound_analysis.write(workdir, model, latents), turn_zz


def test_axes_of_a_decoder_that_is_known_get_its_names(known):
    _, analysis, turn_zz = known
    named = {one["name"]: one for one in analysis["axes"] if one["name"]}
    assert set(named) == {"brightness", "loudness"} and analysis["named"] == 2
    # The bands are painted high for low scores: the axis is turned to fit its name.
    assert named["brightness"]["vector"] @ turn_zz[0] < -0.9
    assert named["loudness"]["vector"] @ turn_zz[2] > 0.9
    for name, one in named.items():
        effect = one["effects"][name]
        assert effect["rho"] > 0.95 and effect["change"] > 1
        assert one["path"][name] == sorted(one["path"][name])
        assert one["safe"][0] < 0 < one["safe"][1]
        assert one["leakage"]["descriptor"] != name


def test_analysis_is_written_drawn_read_and_refused_for_another_step(known, tmp_path):
    workdir, written, _ = known
    with pytest.raises(FileNotFoundError, match="distill-jax analyse"):
        sound_analysis.read(tmp_path, step=5)
    read = sound_analysis.read(workdir, step=5)
    assert [one["name"] for one in read["axes"]] == [
        one["name"] for one in written["axes"]
    ]
    assert read["axes"][0]["vector"] == written["axes"][0]["vector"]
    assert read["fingerprint"] == written["fingerprint"]
    page = (workdir / "report/analysis.html").read_text()
    assert "<audio" in page and "axes_change.png" in page and "brightness" in page
    with pytest.raises(ValueError, match=r"step 5.*step 6"):
        sound_analysis.read(workdir, step=6)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_untrained_model_gets_no_names(seed):
    model = tiny_vae.untrained(seed, WINDOW_SECONDS)
    mean_nz, _ = model.encode(tiny_vae.windows(seed, 60)[:, : model.samples])
    analysis = sound_analysis.analyse(model, mean_nz, seed)
    assert analysis["named"] == 0 and len(analysis["axes"]) > 1
    assert all(record["name"] is None for record in analysis["axes"])


def record(name, vector, safe=(-2.0, 2.0)):
    return {"name": name, "vector": vector, "std": 0.5, "safe": list(safe)}


ANALYSIS = {
    "mean": [1.0, 1.0, 1.0],
    "axes": [record("pitch", [1.0, 0.0, 0.0]), record(None, [0.0, 0.6, 0.8])],
}


def test_move_puts_latents_at_the_position_and_leaves_the_rest():
    latent_nz = RNG.standard_normal((4, 3))
    moved_nz = records.move(ANALYSIS, latent_nz, {"pitch": 2.0, "axis2": -1.0})
    np.testing.assert_allclose(moved_nz[:, 0], 1 + 2 * 0.5, rtol=1e-6)
    np.testing.assert_allclose((moved_nz - 1) @ [0, 0.6, 0.8], -0.5, rtol=1e-5)
    across_z = np.array([0, -0.8, 0.6])
    np.testing.assert_allclose(moved_nz @ across_z, latent_nz @ across_z, atol=1e-6)


def test_axes_are_found_by_name_and_by_number_or_refused_with_a_list():
    assert records.find(ANALYSIS, "pitch") is records.find(ANALYSIS, "axis1")
    with pytest.raises(ValueError, match=r"'warmth'; named: pitch; by number: .*axis2"):
        records.find(ANALYSIS, "warmth")
    nameless = ANALYSIS | {"axes": ANALYSIS["axes"][1:]}
    with pytest.raises(ValueError, match="no axis of this model has earned a name"):
        records.find(nameless, "pitch")


def test_fingerprint_tells_checkpoints_and_sounds_apart():
    mean_nz, _ = cloud()
    prints = {
        sound_analysis.fingerprint(1, mean_nz),
        sound_analysis.fingerprint(2, mean_nz),
        sound_analysis.fingerprint(1, mean_nz[1:]),
    }
    assert len(prints) == 3
    assert sound_analysis.fingerprint(1, mean_nz.copy()) in prints


def test_every_descriptor_has_a_unit_and_an_audible_change():
    assert descriptors.NAMES == (
        "brightness",
        "noisiness",
        "loudness",
        "attack",
        "pitch",
    )
    assert all(kind.unit and kind.audible > 0 for kind in descriptors.DESCRIPTORS)
