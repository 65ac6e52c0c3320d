"""Which files a verb reads, and which it writes."""

from pathlib import Path

from distill_jax.cli.usage import require, told
from distill_jax.data import listing


def with_targets(paths, out, suffix):
    """Every sound file in `paths`, and the path of its result, each a different one."""
    pairs, taken = [], set()
    for path in paths:
        require(path.exists(), f"{path} does not exist")
        with told(OSError):
            names = listing.sound_names(path) if path.is_dir() else [path.name]
        folder = path if path.is_dir() else path.parent
        for name in names:
            stem, number = out / Path(name).with_suffix(""), 1
            target = stem.with_name(f"{stem.name}.{suffix}")
            while target in taken:
                number += 1
                target = stem.with_name(f"{stem.name}-{number}.{suffix}")
            taken.add(target)
            pairs.append((folder / name, target))
    lost = resolved(source for source, _ in pairs) & resolved(taken)
    names = ", ".join(sorted(map(str, lost)))
    require(not lost, f"the results would replace {names}; choose another --out")
    return pairs


def resolved(paths):
    """Where paths really lead, as a set."""
    return {path.resolve() for path in paths}
