"""The threshold of exported files, which is often found after they are written."""

import hashlib

from distill_jax import export, folders, workdir
from distill_jax.export import header

# What manifests of files that hold one network may differ in.
OF_ONE_FILE = {"file", "bytes", "sha256", "threshold"}


def keep(path, threshold):
    """Writes a threshold into the manifest of a file and of those exported with it.

    They hold one network, whose answers are the same to the last bit. The C header gets
    it as well.

    Args:
      path: of an exported file.
      threshold: see `Card`.

    Returns:
      The paths of the files that are used with it from now on.

    Raises:
      FileNotFoundError, ValueError: see `export.read`.
    """
    _, about = export.read(path)
    kept = []
    for _, ending in export.FORMATS.values():
        beside = path.with_suffix(ending)
        if beside == path or _of_one(beside, about):
            _write(beside, threshold)
            kept.append(beside)
    return kept


def _of_one(path, about):
    """Whether a file was exported with the one of that manifest."""
    if not (path.is_file() and export.manifest_path(path).is_file()):
        return False
    _, other = export.read(path)
    return _network(other) == _network(about)


def _network(about):
    return {name: about[name] for name in about.keys() - OF_ONE_FILE}


def _write(path, threshold):
    data, about = export.read(path)
    if path.suffix == export.FORMATS["c"][1]:
        data = header.with_threshold(data, threshold)
        with folders.replacing(path) as file:
            file.write(data)
    hashed = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    workdir.write_json(
        export.manifest_path(path), about | hashed | {"threshold": threshold}
    )
