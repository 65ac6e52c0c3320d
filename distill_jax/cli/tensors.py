"""What the verbs on checkpoints of PyTorch models do."""

import json
import math
import re

from distill_jax import progress, semantic
from distill_jax.cli.usage import require, told
from distill_jax.models import hf
from distill_jax.weights import compare, config, converting, folder, match, recognise
from distill_jax.weights.header import printable

NUMBER = re.compile(r"[0-9]{1,18}")


def inspect(options):
    """Tells what is in a checkpoint, and what does not fit the model that it is."""
    with told(OSError, ValueError):
        contents = folder.read(options.path)
        settings = _config(contents.path)
    known = recognise.recognise(settings, contents.tensors)
    problems = misfits(known.model, settings, contents)
    facts = _facts(contents) | known._asdict() | {"problems": problems}
    print(json.dumps(facts, indent=1) if options.json else _page(facts))


def known(model, settings):
    """A model's `Checkpoint` and template; None where there is no such model here."""
    if model not in hf.MODELS or not settings:
        return None
    return hf.MODELS[model].checkpoint, semantic.template(settings)


def misfits(model, settings, contents):
    """What of a checkpoint does not fit its model; None if the model is not known.

    Args:
      model: its `model_type`.
      settings: its `config.json`.
      contents: `header.Contents`.

    Returns:
      List of lines.
    """
    try:
        fit = known(model, settings)
        if fit is None:
            return None
        checkpoint, template = fit
        return list(match.match(match.facts(contents), template, checkpoint).problems)
    except ValueError as error:
        return str(error).splitlines()


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
        print(json.dumps(about | _facts(contents), indent=1))
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


def _config(path):
    """The config.json beside a checkpoint, {} where there is none."""
    try:
        return config.read(path.parent)
    except FileNotFoundError:
        return {}


def _facts(contents):
    """Everything on the tensors of a checkpoint, as JSON has it."""
    tensors = [
        {
            "name": name,
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "parameters": math.prod(tensor.shape),
            "bytes": tensor.size,
            "file": tensor.file.name,
        }
        for name, tensor in contents.tensors.items()
    ]
    return {
        "path": str(contents.path),
        "files": sorted({each["file"] for each in tensors}),
        "parameters": sum(each["parameters"] for each in tensors),
        "bytes": sum(each["bytes"] for each in tensors),
        "metadata": contents.metadata,
        "tensors": tensors,
    }


def _page(facts):
    """The facts as text, with numbered layers as one line."""
    head = f", {facts['head']} head" if facts["head"] else ""
    dtypes = ", ".join(sorted({each["dtype"] for each in facts["tensors"]}))
    lines = [
        f"{facts['path']}",
        f"model: {facts['model'] or 'not known'}{head} ({facts['how']})",
        *([f"but {facts['doubt']}"] if facts["doubt"] else []),
        f"{len(facts['tensors'])} tensors in {len(facts['files'])} file(s), "
        f"{facts['parameters']:,} parameters, {facts['bytes']:,} bytes, {dtypes}",
        "",
        *_tree(facts["tensors"]),
        "",
    ]
    if facts["problems"] is None:
        return "\n".join([*lines, "no model here to hold it against"])
    if not facts["problems"]:
        return "\n".join([*lines, "every tensor fits the model"])
    return "\n".join(
        [*lines, "what does not fit the model:", *map(printable, facts["problems"])]
    )


def _tree(tensors):
    """A line for all tensors of one name but for its numbers, dtype and shape."""
    groups = {}
    for each in sorted(tensors, key=lambda each: _natural(each["name"])):
        parts = tuple(NUMBER.split(each["name"]))
        key = parts, each["dtype"], tuple(each["shape"])
        groups.setdefault(key, []).append(each["name"])
    rows = [
        (printable(_ranges(names)), *key[1:], len(names))
        for key, names in groups.items()
    ]
    width = max((len(name) for name, *_ in rows), default=0)
    return [
        f"{name:{width}}  {dtype} {list(shape)}" + (f" ×{count}" if count > 1 else "")
        for name, dtype, shape, count in rows
    ]


def _natural(name):
    """Sorts layer 2 before layer 10."""
    return list(map(int, NUMBER.findall(name))), name


def _ranges(names):
    """Names that differ in numbers only as one: "layers.{0-23}.weight"."""
    columns = zip(*(map(int, NUMBER.findall(name)) for name in names), strict=True)
    texts = iter(
        str(low) if low == high else f"{{{low}-{high}}}"
        for low, high in ((min(column), max(column)) for column in map(list, columns))
    )
    return NUMBER.sub(lambda _: next(texts), names[0])


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
