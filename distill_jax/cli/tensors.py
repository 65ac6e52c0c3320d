"""What the verbs on checkpoints of PyTorch models do."""

import json
import math

from distill_jax import inspection, progress
from distill_jax.cli.usage import require, told
from distill_jax.weights import compare, converting, folder
from distill_jax.weights.header import printable


def inspect(options):
    """Tells what is in a checkpoint, and what does not fit the model that it is."""
    with told(OSError, ValueError):
        found = inspection.look(options.path)
    print(json.dumps(found, indent=1) if options.json else inspection.page(found))


def convert(options):
    """Rewrites a checkpoint."""
    require(options.shard_gb > 0, f"--shard-gb is {options.shard_gb}, expected above 0")
    dtype = None if options.dtype == "keep" else options.dtype
    with told(OSError, ValueError):
        most = max(1, int(options.shard_gb * 1e9))
        names = converting.convert(options.source, options.out, dtype, most)
        contents = folder.read(options.out)
    if options.json:
        about = {"source": str(options.source), "written": names}
        print(json.dumps(about | inspection.facts(contents), indent=1))
    else:
        for name in names:
            print(options.out / name)


def verify(options):
    """Compares two checkpoints; the status is 1 if they differ."""
    require(
        0 <= options.tolerance < math.inf,
        f"--tolerance is {options.tolerance}, expected 0 or more",
    )
    with told(OSError, ValueError):
        first, second = (folder.read(each) for each in (options.first, options.second))
        names = compare.names(first, second)
        with progress.bar(names, "comparing", unit="tensor") as bar:
            found = list(compare.differences(first, second, bar))
    apart = [each for each in found if each.absolute > 0]
    bad = [each for each in apart if each.absolute > options.tolerance]
    if options.json:
        facts = {"tensors": len(found), "same": len(found) - len(apart)}
        facts |= {"beyond_tolerance": len(bad), "tolerance": options.tolerance}
        print(json.dumps(facts | {"differences": list(map(_finite, found))}, indent=1))
    else:
        for each in sorted(apart, key=lambda each: -each.absolute):
            print(_line(each))
        print(
            f"{len(found)} tensors: {len(found) - len(apart)} the same, {len(bad)} "
            f"further apart than {options.tolerance:g}"
        )
    return 1 if bad else 0


def _line(each):
    apart = f"{each.absolute:.3g} absolute, {each.relative:.3g} relative"
    note = f"  ({each.note})" if each.note else ""
    return f"{printable(each.name)}  {apart}{note}"


def _finite(each):
    """A difference as JSON has it, which knows no infinity."""
    return {
        key: None if value == math.inf else value
        for key, value in each._asdict().items()
    }


VERBS = {"Inspect": inspect, "Convert": convert, "Verify": verify}
