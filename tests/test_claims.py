import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_jax import claims

# Each part is written down when it is begun, and made when it is through.
WORKER = """
import sys, time
from pathlib import Path
from distill_jax import claims
folder, parts = Path(sys.argv[1]), [f"part{n}" for n in range(40)]
for part in claims.shared(folder, parts, lambda part: (folder / part).exists()):
    with open(folder / "begun.txt", "a") as log:
        log.write(f"{part}\\n")
    time.sleep(0.01)
    with claims.alone(folder, "count"):
        count = folder / "count.txt"
        before = int(count.read_text()) if count.exists() else 0
        time.sleep(0.002)
        # At once: to be killed between emptying and writing would lose it.
        (folder / "next.txt").write_text(str(before + 1))
        (folder / "next.txt").replace(count)
    (folder / part).touch()
"""


def worker(folder):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", WORKER, folder], env=environment)


def begun(folder):
    log = folder / "begun.txt"
    return log.read_text().split() if log.exists() else []


@pytest.mark.parametrize("kills", [0, 3])
def test_workers_that_die_leave_nothing_undone_and_do_little_twice(tmp_path, kills):
    running = [worker(tmp_path) for _ in range(3)]
    for kill in range(kills):
        until = time.monotonic() + 30
        while len(begun(tmp_path)) < 5 * (kill + 1) and time.monotonic() < until:
            time.sleep(0.005)
        running[kill].send_signal(signal.SIGKILL)
        running[kill].wait()
        running.append(worker(tmp_path))
    assert [job.wait(60) for job in running[kills:]] == [0] * 3
    parts = begun(tmp_path)
    assert set(parts) == {f"part{number}" for number in range(40)}
    assert len(parts) <= 40 + kills
    assert int((tmp_path / "count.txt").read_text()) in range(40, len(parts) + 1)
    assert not list(tmp_path.glob(".part*.claim"))


def test_parts_that_are_done_or_stay_undone_are_not_given_out_again(tmp_path):
    found = list(claims.shared(tmp_path / "new", range(4), lambda part: part == 2))
    assert found == [0, 1, 3]


def test_a_part_that_fails_is_free_again(tmp_path):
    for _ in range(2):
        parts = claims.shared(tmp_path, ["a", "b"], lambda part: False)
        assert next(parts) == "a"
        assert next(claims.shared(tmp_path, ["a", "b"], lambda part: False)) == "b"
        with pytest.raises(RuntimeError):
            parts.throw(RuntimeError())
    assert not list(tmp_path.iterdir())
