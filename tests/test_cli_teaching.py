import pytest
import tiny_tuition
import tiny_words


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """The verb with a config, teachers and recordings."""
    folder = tmp_path_factory.mktemp("teaching")
    found = tiny_tuition.teachers(folder)
    changes = {
        "teachers": found,
        "teacher_alignment_layers": ("last", ""),
        "data.root": folder / "words",
        "data.cache": folder / "cache",
        "distill.views": 1,
        "distill.cache": folder / "said",
    }
    sets = [text for name, v in changes.items() for text in ("--set", f"{name}={v}")]
    return ["cache-teachers", f"{tiny_words.CONFIG}:dual,tiny", *sets]


def test_cache_teachers_asks_once_and_says_where_it_is(arguments, lines):
    said = lines(*arguments)[-1]
    assert said.startswith("32 views, 0.0 MB in ") and "said;" in said
    assert lines(*arguments)[-1] == said


def test_cache_teachers_refuses_a_folder_of_other_answers(arguments, lines, refused):
    lines(*arguments)
    said = refused(*arguments, "--set", "distill.view_seed=3")
    assert "holds other answers of teachers" in said
    assert "view_seed: 0 there, 3 now" in said


def test_cache_teachers_needs_teachers_and_views(refused):
    said = refused("cache-teachers", f"{tiny_words.CONFIG}:none,tiny")
    assert "--set distill.views=8" in said


def test_cache_teachers_refuses_settings_that_are_not_there(refused):
    said = refused("cache-teachers", f"{tiny_words.CONFIG}:tiny", "--set", "batches=3")
    assert "batches" in said
