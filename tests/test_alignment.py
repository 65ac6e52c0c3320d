import jax
import numpy as np
import pytest
import scipy.spatial

from distill_jax.distillation import alignment


def test_overlaps_of_whole_multiples_are_means_of_neighbours():
    np.testing.assert_allclose(
        alignment.overlaps(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    )


def test_overlaps_of_other_clocks_share_the_frames_between():
    np.testing.assert_allclose(
        alignment.overlaps(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-7
    )


@pytest.mark.parametrize(("frames", "rows"), [(49, 7), (50, 7), (3, 7), (7, 7)])
def test_overlaps_are_means_that_lose_no_frame(frames, rows):
    overlap_ut = alignment.overlaps(frames, rows)
    np.testing.assert_allclose(overlap_ut.sum(axis=1), np.ones(rows), rtol=1e-5)
    np.testing.assert_allclose(
        overlap_ut.sum(axis=0), np.full(frames, rows / frames), rtol=1e-5
    )


def test_pooled_target_is_the_standardised_mean():
    hidden_btd = 100 + 7 * np.random.default_rng(0).normal(size=(2, 5, 16))
    mean_bd = hidden_btd.mean(axis=1)
    expected_bd = (mean_bd - mean_bd.mean(1)[:, None]) / mean_bd.std(1)[:, None]
    np.testing.assert_allclose(alignment.target(hidden_btd, 0), expected_bd, atol=1e-3)


def test_target_over_time_has_the_students_clock():
    hidden_btd = np.random.default_rng(0).normal(size=(2, 8, 16))
    found_btd = alignment.target(hidden_btd, 4)
    assert found_btd.shape == (2, 4, 16)
    np.testing.assert_allclose(
        found_btd[:, :1], alignment.target(hidden_btd[:, :2], 1), atol=1e-5
    )


def test_scale_and_offset_of_a_layer_do_not_matter():
    hidden_btd = np.random.default_rng(0).normal(size=(2, 8, 16))
    np.testing.assert_allclose(
        alignment.target(hidden_btd, 2),
        alignment.target(50 * hidden_btd + 3, 2),
        atol=1e-3,
    )


def test_distances_are_scipys():
    one_bd, other_bd = np.random.default_rng(0).normal(size=(2, 3, 8))
    expected_b = [
        scipy.spatial.distance.cosine(one_d, other_d)
        for one_d, other_d in zip(one_bd, other_bd, strict=True)
    ]
    np.testing.assert_allclose(
        alignment.cosine(one_bd, other_bd), expected_b, rtol=1e-5
    )
    expected_b = np.mean((one_bd - other_bd) ** 2, axis=1)
    np.testing.assert_allclose(
        alignment.squared(one_bd, other_bd), expected_b, rtol=1e-5
    )


def test_cosine_over_time_is_the_mean_over_time():
    one_btd, other_btd = np.random.default_rng(0).normal(size=(2, 3, 4, 8))
    expected_b = np.mean(
        [alignment.cosine(one_btd[:, t], other_btd[:, t]) for t in range(4)], axis=0
    )
    np.testing.assert_allclose(
        alignment.cosine(one_btd, other_btd), expected_b, rtol=1e-5
    )


def test_cosine_of_nothing_has_a_finite_gradient():
    grad_bd = jax.grad(lambda x: alignment.cosine(x, np.ones((1, 4))).sum())
    assert np.isfinite(grad_bd(np.zeros((1, 4)))).all()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ()),
        ("3", (3,)),
        ("0, 12", (0, 12)),
        ("-1", (12,)),
        ("early,middle,late", (3, 6, 9)),
        ("last,-1,12", (12,)),
    ],
)
def test_layers_are_found_by_number_and_by_name(asked, expected):
    assert alignment.layers(asked, 12, "a teacher") == expected


def test_layers_that_are_not_there_are_all_named():
    with pytest.raises(ValueError, match=r"wav has no layer 13, -14, top; .* to 12"):
        alignment.layers("3,13,-14,top", 12, "wav")
