"""Pictures, players and tables in the output of a cell."""

import base64
import io
import tempfile
from html import escape
from pathlib import Path

from distill_jax.audio import files


class Place:
    """A picture in the output of a cell, which can be drawn anew."""

    def __init__(self):
        """Nothing is shown yet."""
        self._handle = None

    def draw(self, function, *what):
        """Draws with a function of `report`, which takes a file and `what`."""
        file = io.BytesIO()
        function(file, *what)
        shown = _display().Image(data=file.getvalue(), format="png")
        if self._handle is None:
            self._handle = _display().display(shown, display_id=True)
        else:
            self._handle.update(shown)


def draw(function, *what):
    """Shows what a function of `report` draws; it takes a file and `what`."""
    Place().draw(function, *what)


def picture(path):
    """Shows a PNG file.

    Raises:
      FileNotFoundError: there is none.
    """
    content = Path(path).read_bytes()
    _display().display(_display().Image(data=content, format="png"))


def players(sounds, rate_hz):
    """Shows a player for each sound; the notebook that is saved has the sounds in it.

    Args:
      sounds: {title: audio_s, within ±1}.
      rate_hz: samples per second.

    Raises:
      ValueError: a sound cannot be written, see `files.write`.
    """
    rows = "".join(
        f"<tr><td>{escape(title)}</td><td>{_player(audio_s, rate_hz)}</td></tr>"
        for title, audio_s in sounds.items()
    )
    _html(f"<table>{rows}</table>")


def _player(audio_s, rate_hz):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        files.write(path, files.limit(audio_s), rate_hz, {})
        data = base64.b64encode(path.read_bytes()).decode()
    return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'


def table(header, rows):
    """Shows a table; all of it is text.

    Args:
      header: of the columns.
      rows: lists of cells, numbers with three digits.
    """
    head = "".join(f"<th>{escape(str(name))}</th>" for name in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_cell(cell))}</td>' for cell in row)}</tr>"
        for row in rows
    )
    _html(f"<table><tr>{head}</tr>{body}</table>")


def _cell(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _html(text):
    _display().display(_display().HTML(text))


def _display():
    """IPython's, late: the extra `notebook` is for those who open notebooks."""
    from IPython import display

    return display
