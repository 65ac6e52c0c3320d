"""Reads the settings of a checkpoint."""

from pathlib import Path

from distill_jax.weights import folder


def read(path):
    """Reads `config.json` of a checkpoint.

    Args:
      path: the file, or its folder.

    Returns:
      A dictionary.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not a JSON object.
    """
    path = Path(path)
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; a checkpoint needs the config.json it came with"
        )
    return folder.read_json(path)
