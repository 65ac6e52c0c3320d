"""A config file with what is changed in it, as the training command reads them."""

import ast
import importlib.util
from pathlib import Path

import distill_jax


def read(name, changes=()):
    """The settings of a run.

    Args:
      name: of a file, with the variants behind a colon: configs/distill.py:dual,small.
      changes: "data.root=speech/" each.

    Returns:
      A `ConfigDict`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: there is no such variant, or a change names no setting or gives it a
        value of another type.
    """
    path, _, variant = name.partition(":")
    spec = importlib.util.spec_from_file_location("config", find(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return changed(module.get_config(*[variant] * bool(variant)), changes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def changed(config, changes):
    """Changes settings in place, and gives them back.

    Args:
      config: a `ConfigDict`.
      changes: "data.root=speech/" each.

    Raises:
      ValueError: one names no setting or gives it a value of another type.
    """
    for text in changes:
        key, value = _change(text)
        try:
            _set(config, key, value)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{text!r}: {error}") from error
    return config


def find(path):
    """Where a config is: the file itself, else the one of that name that comes along.

    Raises:
      FileNotFoundError: there is neither.
    """
    path = Path(path)
    known = folder() / path.name
    if path.is_file():
        return path
    if path.parent.name == "configs" and known.is_file():
        return known
    raise FileNotFoundError(
        f"{path} is missing; give a config, configs/distill.py:dual. There are "
        + ", ".join(f"configs/{each.name}" for each in sorted(folder().glob("*.py")))
    )


def folder():
    """The configs: in an installed package inside it, in its sources beside it."""
    package = Path(distill_jax.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


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
