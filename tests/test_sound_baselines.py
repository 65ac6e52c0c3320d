import numpy as np
import pytest
from scipy.spatial.distance import cdist

from distill_jax.audio import distance, phase
from distill_jax.sound_report import baselines, latents, quality

RATE = 16_000
SPEC = phase.Spectrogram(rate_hz=RATE, n_fft=512, hop=128, mels=32)


def noise(count, seed=0):
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((count, 4000)).astype(np.float32)


def pictures(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4, 5)).astype(np.float32)


def test_spread_takes_from_all_groups_in_turn():
    group_n = np.array([7] * 100 + [1] * 2 + [3] * 10)
    chosen_n = baselines.spread(group_n, 9, seed=0)
    found = {group: int(np.sum(group_n[chosen_n] == group)) for group in (7, 1, 3)}
    # Rounds of one of each, until group 1 has no more; the last place is for either.
    assert found[1] == 2 and {found[7], found[3]} == {3, 4}
    assert (np.diff(chosen_n) > 0).all()


def test_spread_takes_everything_when_there_is_room():
    group_n = np.array([0, 1, 1, 0, 2])
    np.testing.assert_array_equal(baselines.spread(group_n, 50, seed=3), range(5))


def test_spread_depends_on_the_seed_alone():
    group_n = np.arange(1000) % 7
    first, again, other = (baselines.spread(group_n, 20, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_pca_by_hand():
    # Along (3, 4) from the mean (1, 1): scores -5, 0 and 5.
    picture_nft = np.array([[[-2.0, -3.0]], [[1.0, 1.0]], [[4.0, 5.0]]], np.float32)
    pca = baselines.fit_pca(picture_nft, 2)
    np.testing.assert_allclose(pca.mean_ft, [[1, 1]])
    np.testing.assert_allclose(np.abs(pca.component_rft), [[[0.6, 0.8]]], rtol=1e-6)
    # (2, 1) is (1, 0) from the mean: a score of 0.6.
    projected = baselines.project(pca, np.array([[[2.0, 1.0]]], np.float32))
    np.testing.assert_allclose(projected, [[[1.36, 1.48]]], rtol=1e-6)


@pytest.mark.parametrize("count", [12, 60])  # fewer and more than there are cells
def test_pca_projects_as_the_singular_value_decomposition_does(count):
    picture_nft, other_nft = pictures(count), pictures(5, seed=1)
    flat_np = picture_nft.reshape(count, -1)
    _, _, row_rp = np.linalg.svd(flat_np - flat_np.mean(0), full_matrices=False)
    basis_rp = row_rp[:6]
    centred_np = other_nft.reshape(5, -1) - flat_np.mean(0)
    expected_np = flat_np.mean(0) + centred_np @ basis_rp.T @ basis_rp
    pca = baselines.fit_pca(picture_nft, 6)
    found_nft = baselines.project(pca, other_nft)
    np.testing.assert_allclose(found_nft.reshape(5, -1), expected_np, atol=1e-5)


def test_pca_has_no_more_components_than_the_pictures_span():
    pca = baselines.fit_pca(pictures(4), 128)
    assert len(pca.component_rft) == 3
    np.testing.assert_allclose(
        baselines.project(pca, pictures(4)), pictures(4), atol=1e-5
    )
    alone = baselines.fit_pca(pictures(1), 128)
    np.testing.assert_allclose(
        baselines.project(alone, pictures(3)), [pictures(1)[0]] * 3
    )


def test_nearest_is_what_scipy_finds():
    # More than a chunk on both sides, and no whole number of chunks.
    query_nft, bank_mft = (
        pictures(baselines.QUERIES + 3),
        pictures(baselines.BANK + 9, 1),
    )
    distance_nm = cdist(
        query_nft.reshape(len(query_nft), -1),
        bank_mft.reshape(len(bank_mft), -1),
        "cityblock",
    )
    index_n, distance_n = baselines.nearest(query_nft, bank_mft)
    np.testing.assert_array_equal(index_n, distance_nm.argmin(axis=1))
    np.testing.assert_allclose(distance_n, distance_nm.min(axis=1) / 20, rtol=1e-5)


def test_nearest_of_a_picture_to_itself_is_zero_and_to_others_is_not():
    bank_nft = pictures(10)
    index_n, distance_n = baselines.nearest(bank_nft, bank_nft)
    np.testing.assert_array_equal(index_n, range(10))
    np.testing.assert_array_equal(distance_n, 0)
    others = ~np.eye(10, dtype=bool)
    assert (baselines.nearest(bank_nft, bank_nft, others)[1] > 0.1).all()


def test_nearest_is_infinitely_far_where_none_is_allowed():
    allowed_nm = np.array([[False, False], [False, True]])
    index_n, distance_n = baselines.nearest(pictures(2), pictures(2), allowed_nm)
    assert np.isinf(distance_n[0]) and index_n[1] == 1 and distance_n[1] == 0


def test_log_mel_differs_as_the_distance_of_the_audio_says():
    first_ns, second_ns = noise(3), 0.01 * noise(3, seed=1)
    pair = [
        baselines.log_mel(baselines.encode(x_ns, SPEC), SPEC)
        for x_ns in (first_ns, second_ns)
    ]
    found_n = np.abs(pair[0] - pair[1]).mean(axis=(1, 2))
    expected_n = distance.log_mel_l1(first_ns, second_ns, SPEC.mel)
    np.testing.assert_allclose(found_n, expected_n, rtol=1e-4)


def test_distances_are_zero_for_equal_sounds_and_those_of_the_module_for_others():
    first_ns, second_ns = noise(20), noise(20, seed=1)
    for value_n in baselines.distances(first_ns, first_ns, SPEC).values():
        np.testing.assert_allclose(value_n, 0, atol=1e-6)
    found = baselines.distances(first_ns, second_ns, SPEC)
    np.testing.assert_allclose(
        found["mrstft"], distance.mrstft(first_ns, second_ns), rtol=1e-4
    )
    expected_n = distance.log_spectral_distance_db(first_ns, second_ns)
    np.testing.assert_allclose(found["lsd_db"], expected_n, rtol=1e-4)


def of_audio(audio_ns, file_n):
    feature_nftc = baselines.encode(audio_ns, SPEC)
    return baselines.Windows(
        audio_ns, feature_nftc, np.array(file_n), np.zeros(len(file_n), int)
    )


def test_audible_leaves_silence_out():
    audio_ns = noise(4)
    audio_ns[1] = 0
    audio_ns[2] *= 1e-5
    kept = baselines.audible(of_audio(audio_ns, [0, 1, 2, 3]), most=9)
    np.testing.assert_array_equal(kept.file_n, [0, 3])
    np.testing.assert_array_equal(kept.audio_ns, audio_ns[[0, 3]])


def test_latents_are_counted_by_hand():
    # KL of N(m, 1) is m²/2: 2, 0.5 and 0; the means vary by 0, 1 and 0.
    mean_nz = np.array([[2.0, 1.0, 0.0], [2.0, -1.0, 0.0]], np.float32)
    found = latents.count(mean_nz, np.zeros((2, 3), np.float32), free_nats=0.5)
    np.testing.assert_allclose(found["kl_nats_z"], [2, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(found["variance_z"], [0, 1, 0], atol=1e-6)
    assert found["active_units"] == 1 and found["latents"] == 3
    assert found["kl_nats"] == pytest.approx(2.5)
    assert found["share_at_free_bits"] == pytest.approx(2 / 3)


def invented(ours, nearest, pca):
    measures = dict.fromkeys(quality.MEASURES, np.zeros(2))
    both = {"log_mel_l1": None, "mrstft": None}
    return {
        name: measures | {key: np.array(value_n) for key in both}
        for name, value_n in {
            "reconstruction": ours,
            "nearest": nearest,
            "pca": pca,
            "mean": (9.0, 9.0),
            "ceiling": (0.0, 0.0),
        }.items()
    }


def test_summary_by_hand():
    found = quality.summary(invented((1.0, 3.0), (2.0, 2.0), (4.0, 4.0)))
    assert found["windows"] == 2
    assert found["reconstruction"]["mrstft"] == 2.0
    assert found["share_closer_than"]["nearest"] == {"log_mel_l1": 0.5, "mrstft": 0.5}
    assert found["share_closer_than"]["pca"] == {"log_mel_l1": 1.0, "mrstft": 1.0}


def test_verdict_is_good_only_if_every_rival_is_beaten():
    good = quality.summary(invented((1.0, 1.0), (2.0, 2.0), (3.0, 3.0)))
    assert quality.verdict(good).startswith("Good")
    tied = quality.summary(invented((2.0, 2.0), (2.0, 2.0), (3.0, 3.0)))
    verdict = quality.verdict(tied)
    assert (
        verdict.startswith("Not good yet")
        and "nearest training sound (MRSTFT)" in verdict
    )
    assert "principal components" not in verdict


def test_table_has_a_row_for_each_candidate():
    rows = quality.table(quality.summary(invented((1.0, 3.0), (2, 2), (4, 4)))).split(
        "\n"
    )
    assert len(rows) == 6 and len({len(row) for row in rows}) == 1
    assert rows[1].split() == [
        "reconstruction",
        "2.000",
        "2.000",
        "0.000",
        "0.000",
        "0.000",
    ]
