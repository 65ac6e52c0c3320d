"""A config file with what is changed in it, as the training command reads them."""

import ast
import importlib.util
from pathlib import Path

from distill_jax.cli.usage import UsageError


def read(name, changes=()):
    """The settings of a run.

    Args:
      name: of a file, with the variants behind a colon: configs/distill.py:dual,small.
      changes: "data.root=speech/" each.

    Returns:
      A `ConfigDict`.

    Raises:
      UsageError: there is no such file or variant, or a change names no setting or
        gives it a value of another type.
    """
    path, _, variant = name.partition(":")
    if not Path(path).is_file():
        raise UsageError(f"{path} is missing; give a config, configs/distill.py:dual")
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        config = module.get_config(*[variant] * bool(variant))
        for key, value in map(_change, changes):
            _set(config, key, value)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name}: {error}") from error
    return config


def _change(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r}, expected NAME=VALUE, data.root=speech/")
    try:
        return key, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return key, value


def _set(config, key, value):
    *groups, last = key.split(".")
    for name in groups:
        config = config[name]
    if last not in config:
        raise KeyError(f"there is no setting {key!r}")
    config[last] = value
