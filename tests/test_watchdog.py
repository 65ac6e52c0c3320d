import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_jax import watchdog

HANGS = """
import time
from distill_jax import watchdog
with watchdog.Watchdog(0.5, "process 3") as dog:
    for step in range(1, 5):
        time.sleep(0.2)
        dog.told(step)
    def waits_for_the_others():
        time.sleep(60)
    waits_for_the_others()
"""


def test_what_hangs_is_ended_with_the_place_and_the_last_step():
    job = subprocess.run(
        [sys.executable, "-c", HANGS],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=Path(__file__).parents[1],
    )
    assert job.returncode == 1
    assert "process 3: step 4 was the last that was finished" in job.stderr
    assert "waits_for_the_others" in job.stderr


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_nothing_happens_where_it_is_left_in_time(seconds):
    with watchdog.Watchdog(seconds) as dog:
        dog.told(1)
    time.sleep(0.5)
