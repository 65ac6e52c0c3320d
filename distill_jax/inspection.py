"""What is in a checkpoint of a PyTorch model, and what of it does not fit here."""

import math
import re

from distill_jax import semantic
from distill_jax.models import hf
from distill_jax.weights import config, folder, match, recognise
from distill_jax.weights.header import printable

NUMBER = re.compile(r"[0-9]{1,18}")


def look(path):
    """Everything about a checkpoint; only headers are read.

    Args:
      path: a safetensors file, an index of several, or a folder with either.

    Returns:
      A dictionary of JSON values: what `facts` gives, `model`, `head`, `how` and
      `doubt` of `recognise.Recognised`, and `problems`, lines of what does not fit the
      model, None where there is no such model here.

    Raises:
      OSError, ValueError: there is no checkpoint, or it is damaged.
    """
    contents = folder.read(path)
    settings = _config(contents.path)
    found = recognise.recognise(settings, contents.tensors)
    problems = misfits(found.model, settings, contents)
    return facts(contents) | found._asdict() | {"problems": problems}


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


def _config(path):
    """The config.json beside a checkpoint, {} where there is none."""
    try:
        return config.read(path.parent)
    except FileNotFoundError:
        return {}


def facts(contents):
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


def page(found):
    """What `look` found as text, with numbered layers as one line."""
    head = f", {found['head']} head" if found["head"] else ""
    dtypes = ", ".join(sorted({each["dtype"] for each in found["tensors"]}))
    lines = [
        f"{found['path']}",
        f"model: {found['model'] or 'not known'}{head} ({found['how']})",
        *([f"but {found['doubt']}"] if found["doubt"] else []),
        f"{len(found['tensors'])} tensors in {len(found['files'])} file(s), "
        f"{found['parameters']:,} parameters, {found['bytes']:,} bytes, {dtypes}",
        "",
        *_tree(found["tensors"]),
        "",
    ]
    if found["problems"] is None:
        return "\n".join([*lines, "no model here to hold it against"])
    if not found["problems"]:
        return "\n".join([*lines, "every tensor fits the model"])
    return "\n".join(
        [*lines, "what does not fit the model:", *map(printable, found["problems"])]
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
