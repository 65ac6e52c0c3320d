"""What teachers said about every view of every clip, kept in files of equal parts."""

import functools
import json
from pathlib import Path

import numpy as np

from distill_jax import claims, folders, progress, workdir

PART = 2048  # rows of a file, a row being a view of a clip


class Store:
    """A folder of parts, each a structured array that can be mapped.

    Attributes:
      folder: where they are.
      dtype: of a row, with a field for everything that is kept.
      rows: how many there are.
    """

    def __init__(self, folder, dtype, rows):
        """Of a folder that `begin` accepted."""
        self.folder, self.dtype, self.rows = Path(folder), np.dtype(dtype), rows
        self._map = functools.lru_cache(maxsize=None)(self._mapped)

    @property
    def bytes(self):
        """Size of all parts."""
        return self.rows * self.dtype.itemsize

    def missing(self):
        """Numbers of the parts that are not there, or not whole."""
        return [part for part in range(self._parts()) if not self._whole(part)]

    def _parts(self):
        return -(-self.rows // PART)

    def rows_of(self, part):
        """The rows of a part, a range."""
        return range(part * PART, min((part + 1) * PART, self.rows))

    def fill(self, answer, parts):
        """Writes parts, one after the other; what was written before stays.

        Several processes may do it at once, each writing other parts; all come back
        when everything is there.

        Args:
          answer: (int64 [n], rows) -> {field: array}, [n, …] each.
          parts: numbers of those to write.

        Raises:
          OSError: the disk is full; nothing half-written is left.
        """
        todo = sum(len(self.rows_of(part)) for part in parts)
        with progress.bar(None, "asking the teachers", todo, "view") as bar:
            for part in claims.shared(self.folder, parts, self._whole):
                row_n = np.array(self.rows_of(part))
                said = np.zeros(len(row_n), self.dtype)
                for name, value_n in answer(row_n, bar).items():
                    said[name] = value_n
                with folders.replacing(self._path(part)) as file:
                    np.save(file, said)

    def read(self, row_b):
        """What is kept for some rows, {field: [b, …]}."""
        said_b = np.empty(len(row_b), self.dtype)
        for part in np.unique(row_b // PART).tolist():
            here_b = row_b // PART == part
            said_b[here_b] = self._map(part)[row_b[here_b] - part * PART]
        return {name: np.ascontiguousarray(said_b[name]) for name in self.dtype.names}

    def _mapped(self, part):
        return np.load(self._path(part), mmap_mode="r")

    def _path(self, part):
        return self.folder / f"part_{part:05d}.npy"

    def _whole(self, part):
        """Told from header and size; a part appears only when it is complete."""
        if not self._path(part).exists():
            return False
        try:
            found = self._mapped(part)
        except ValueError:
            return False
        return found.dtype == self.dtype and len(found) == len(self.rows_of(part))


def begin(folder, settings):
    """Makes a folder for answers, or takes up one that was begun with these settings.

    Args:
      folder: the folder.
      settings: everything that decides what is in it, JSON values.

    Raises:
      ValueError: it was begun with others, which are named.
    """
    plain = json.loads(json.dumps(settings))
    workdir.keep_settings(folder, plain, "answers of teachers")
