import numpy as np
import pytest

from distill_jax.teachers import store

DTYPE = np.dtype([("logits", "f4", (2, 3)), ("layer", "f2", (4,))])
ROWS = 2 * store.PART + 5


def answer(row_n, bar):
    bar.update(len(row_n))
    logits = row_n[:, None, None] + np.arange(6).reshape(2, 3)
    return {"logits": logits, "layer": np.float16(row_n[:, None] % 7 + np.zeros(4))}


@pytest.fixture
def kept(tmp_path):
    store.begin(tmp_path / "store", {"teachers": ["one"], "views": 2})
    return store.Store(tmp_path / "store", DTYPE, ROWS)


def test_any_rows_of_any_parts_are_read_in_their_order(kept):
    kept.fill(answer, kept.missing())
    row_b = np.array([ROWS - 1, 0, store.PART, store.PART - 1, 0])
    found = kept.read(row_b)
    np.testing.assert_array_equal(found["logits"][:, 1, 2], row_b + 5)
    np.testing.assert_array_equal(found["layer"][:, 0], row_b % 7)
    assert found["layer"].dtype == np.float16


def test_what_is_there_is_not_asked_again(kept):
    kept.fill(answer, [1])
    assert kept.missing() == [0, 2]
    kept.fill(lambda row_n, bar: answer(row_n + 1000, bar), kept.missing())
    assert kept.missing() == []
    found = kept.read(np.array([0, store.PART]))
    np.testing.assert_array_equal(found["logits"][:, 0, 0], [1000, store.PART])


def test_a_part_that_is_cut_short_is_missing(kept):
    kept.fill(answer, kept.missing())
    path = kept.folder / "part_00001.npy"
    path.write_bytes(path.read_bytes()[:-100])
    assert store.Store(kept.folder, DTYPE, ROWS).missing() == [1]


def test_nothing_half_written_is_left_when_a_teacher_fails(kept):
    def fails(row_n, bar):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.fill(fails, [0])
    assert [path.name for path in kept.folder.iterdir()] == ["settings.json"]


def test_a_folder_of_other_settings_is_refused_with_what_differs(kept):
    store.begin(kept.folder, {"teachers": ["one"], "views": 2})
    with pytest.raises(ValueError, match=r"views: 2 there, 3 now") as error:
        store.begin(kept.folder, {"teachers": ["one"], "views": 3})
    assert "teachers" not in str(error.value).splitlines()[1]
