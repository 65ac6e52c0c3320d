"""Where features are kept: a file for every sound, or many to a file; found again."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from distill_jax import claims, weights, workdir
from distill_jax.data import listing
from distill_jax.weights import header, reading

INDEX = "index.json"
SHARD = "features-{}.safetensors"
FEATURES = "feature_td"
MOST_BYTES = 256_000_000


class Place(NamedTuple):
    """Where the features of a sound are.

    Attributes:
      file: name of the safetensors file, in the folder.
      tensor: its name there.
    """

    file: str
    tensor: str


class Files:
    """A folder with a file for every sound."""

    def __init__(self, out):
        self.out = Path(out)

    def place(self, name):
        """`Place` of a sound, None where it has none yet."""
        file = Path(name).with_suffix(".safetensors").as_posix()
        return Place(file, FEATURES) if (self.out / file).exists() else None

    def put(self, name, feature_td):
        """Keeps the features of a sound."""
        path = (self.out / name).with_suffix(".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.write(path, {FEATURES: feature_td})

    def flush(self):
        """Does nothing: all is written."""

    def look(self):
        """Does nothing: it always looks at the files."""


class Shards:
    """A folder of files that hold many sounds each.

    A file is written once it is full, whole or not at all, and what it holds is what
    counts as done: a process that is killed loses the last, unwritten one. It is named
    after the sounds in it, so that several processes can write to the folder.

    Raises:
      ValueError: a file that is there is damaged.
    """

    def __init__(self, out, most_bytes=MOST_BYTES):
        self.out, self.most_bytes = Path(out), most_bytes
        self.waiting, self.size = {}, 0
        self.file_of, self._known = {}, set()
        self.look()

    def look(self):
        """Reads what other processes have written meanwhile."""
        for path in sorted(self.out.glob("features-*.safetensors")):
            if path.name not in self._known:
                names = header.read_file(path).tensors
                self.file_of |= dict.fromkeys(names, path.name)
                self._known.add(path.name)

    def place(self, name):
        """`Place` of a sound, None where it has none yet."""
        file = self.file_of.get(name)
        return file and Place(file, name)

    def put(self, name, feature_td):
        """Keeps the features of a sound, in memory until the file is full."""
        if self.size + feature_td.nbytes > self.most_bytes:
            self.flush()
        self.waiting[name] = feature_td
        self.size += feature_td.nbytes

    def flush(self):
        """Writes what waits."""
        if self.waiting:
            names = "\n".join(sorted(self.waiting))
            file = SHARD.format(hashlib.sha256(names.encode()).hexdigest()[:16])
            self.out.mkdir(parents=True, exist_ok=True)
            weights.write(self.out / file, self.waiting)
            self.file_of |= dict.fromkeys(self.waiting, file)
            self._known.add(file)
            self.waiting, self.size = {}, 0


STORES = {"files": Files, "shards": Shards}


def names(paths):
    """{path of a sound: its name in a store}, each a different one.

    Args:
      paths: of sound files, and of folders to search for them.

    Raises:
      OSError, ValueError: see `listing.with_targets`.
    """
    pairs = listing.with_targets(paths, Path(), "safetensors")
    return {path: target.with_suffix(path.suffix).as_posix() for path, target in pairs}


def settings(request, encoder):
    """What decides the features, JSON values, to tell folders of others apart.

    Args:
      request: has `model`, `layer`, `dtype`, `stats` (a path or None) and `store`.
      encoder: `encoder.Encoder` of it.
    """
    checkpoint = sorted(request.model.glob("*.safetensors"))
    return {
        "model": {path.name: _digest(path) for path in checkpoint},
        "config": _digest(request.model / "config.json"),
        "input": encoder.form._asdict(),
        "layer": request.layer,
        "dtype": request.dtype,
        "stats": request.stats and _digest(request.stats),
        "store": request.store,
    }


def _digest(path):
    """SHA-256 of a file; 2.3 GB take seconds, stale features are never noticed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(store, name_of):
    """Writes which features are of which sound, beside those that it tells already.

    Args:
      store: `Files` or `Shards`.
      name_of: {path of a sound: its name in the store}.
    """
    path = store.out / INDEX
    path.parent.mkdir(parents=True, exist_ok=True)
    store.look()
    with claims.alone(store.out, "index"):
        entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
        for source, name in name_of.items():
            if place := store.place(name):
                entries[str(source)] = place._asdict()
        workdir.write_json(path, dict(sorted(entries.items())))


def find(out, source):
    """Features of one sound.

    Args:
      out: folder that `distill-jax extract` wrote.
      source: path of the sound, as it was named then.

    Returns:
      float32 [frames, width].

    Raises:
      FileNotFoundError: the folder has no index.
      ValueError: it has no features of that sound.
    """
    path = Path(out) / INDEX
    entries = json.loads(path.read_text("utf-8"))
    if str(source) not in entries:
        raise ValueError(
            f"{path} has {len(entries)} sounds and {source} is none of them; name it "
            "as `extract` was told it"
        )
    place = Place(**entries[str(source)])
    tensors = header.read_file(Path(out) / place.file).tensors
    with reading.Reader() as reader:
        return reader.read(tensors[place.tensor])
