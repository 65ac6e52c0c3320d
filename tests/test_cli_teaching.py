import subprocess
import sys
import time

import numpy as np
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


WORKER = """
import sys
from distill_jax import cli
from distill_jax.teachers import store
store.PART = 4
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_cache_teachers_is_shared_by_processes_of_which_one_is_killed(
    arguments, lines, tmp_path, one_device
):
    lines(*arguments)
    changes = ["--set", "distill.views=4", "--set", f"distill.cache={tmp_path}/many"]
    words = [sys.executable, "-c", WORKER, *map(str, arguments), *changes]
    cache = {"XDG_CACHE_HOME": str(tmp_path / "xla")}

    def worker():
        return subprocess.Popen(words, env=one_device | cache)

    running = [worker(), worker()]
    while len(list((tmp_path / "many").glob("part_*.npy"))) < 2:
        time.sleep(0.01)
    running[0].kill()
    running[0].wait()
    running.append(worker())
    assert [job.wait(600) for job in running[1:]] == [0, 0]
    parts = sorted((tmp_path / "many").iterdir())
    assert [path.name for path in parts] == [
        *(f"part_{number:05d}.npy" for number in range(32)),
        "settings.json",
    ]
    said = np.concatenate([np.load(path) for path in parts[:-1]])
    changes[-1] = f"distill.cache={tmp_path}/one"
    lines(*arguments, *changes)
    (one,) = (tmp_path / "one").glob("part_*.npy")
    for name in said.dtype.names:
        np.testing.assert_allclose(said[name], np.load(one)[name], atol=2e-5)


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
