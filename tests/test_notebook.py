"""What a notebook shows."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from distill_jax import notebook
from distill_jax.word_report import scores

PLAYER = re.compile(r'<audio controls src="data:audio/wav;base64,([^"]+)"')


@pytest.fixture
def shown():
    """What is displayed in the block, as {kind: content} each."""
    InteractiveShell.instance(history_length=0)
    yield capture_output
    InteractiveShell.clear_instance()


def kinds(captured, kind):
    return [out.data[kind] for out in captured.outputs if kind in out.data]


def test_players_hold_the_sounds_and_tables_only_text(shown):
    tone_s = np.float32(0.5 * np.sin(np.arange(1600)))
    with shown() as captured:
        notebook.players({"a < b": tone_s}, 16_000)
        notebook.table(["<i>", "n"], [["&", 0.12345], ["x", 7]])
    player, table = kinds(captured, "text/html")
    assert "a &lt; b" in player
    (data,) = PLAYER.findall(player)
    again_s, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate_hz == 16_000
    np.testing.assert_allclose(again_s, tone_s, atol=1e-6)
    assert "<th>&lt;i&gt;</th>" in table and "<td>&amp;</td><td>0.123</td>" in table


def test_timeline_shows_the_scores_and_tells_when_it_was_heard(shown):
    at_n = np.arange(0, 3, 0.02)
    score_n = np.where(np.abs(at_n - 1.5) < 0.1, 0.9999, 0.01)
    heard = scores.Heard("file", "word", score_n, at_n)
    with shown() as captured:
        notebook.timeline([heard], 0.5, [(1.0, 1.5)])
    assert len(kinds(captured, "image/png")) == 1
    assert captured.stdout == "file heard 'word': 1.4 s\n"
