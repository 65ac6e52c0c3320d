"""The tabs of the app: widgets and what they call, nothing else."""

import functools
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from distill_jax.app import training, uploads


class Desk(NamedTuple):
    """What all tabs share.

    Attributes:
      root: work directory.
      trainer: `training.Trainer`.
      most_bytes: that all uploads together may take.
    """

    root: Path
    trainer: training.Trainer
    most_bytes: float = uploads.MOST_BYTES


def told(function):
    """Shows what the user can mend as a message in the page."""

    @functools.wraps(function)
    def asked(*values):
        try:
            return function(*values)
        except training.PROBLEMS as error:
            text = escape(str(error)).replace("\n", "<br>")
            raise gr.Error(
                text, duration=None, title="That does not work", print_exception=False
            ) from error

    return asked


def chooser(label, names, **fields):
    """A list of names from the work directory, into which a path can be typed."""
    return gr.Dropdown(
        names, value=None, label=label, allow_custom_value=True, **fields
    )


def renewed(names, value=None):
    """The same with other names; what is chosen stays if it is there."""
    return gr.update(choices=names, value=value if value in names else None)
