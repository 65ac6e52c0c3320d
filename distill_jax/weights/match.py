"""Holds a checkpoint against a weight table, before a tensor is read.

Every flax leaf has exactly one PyTorch tensor and the other way round. What is
left out on either side is declared with a reason, or it is an error that names all
that does not fit.
"""

import difflib
import re
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from distill_jax.weights import table
from distill_jax.weights.header import DTYPES, printable

# Finding the nearest of many names takes milliseconds, and of long ones seconds.
MOST_HINTS = 40
LONGEST_HINT = 200


class Fact(NamedTuple):
    """What is known of a tensor before it is read: safetensors dtype, and shape."""

    dtype: str
    shape: tuple[int, ...]


class Match(NamedTuple):
    """Which tensor of a checkpoint is which.

    Attributes:
      pairs: [(Pair, name in the checkpoint, or None where it lacks the tensor)].
      ignored: {name in the checkpoint: why}.
      aliases: {name in the checkpoint: name in the table}, where they differ in
        more than a prefix.
      problems: lines, one for each tensor that does not fit.
      total: how many names there are on both sides.
    """

    pairs: tuple
    ignored: dict
    aliases: dict
    problems: tuple[str, ...]
    total: int


def facts(contents):
    """{name: Fact} of a checkpoint.

    Args:
      contents: `header.Contents`.
    """
    return {name: Fact(t.dtype, t.shape) for name, t in contents.tensors.items()}


def match(facts, template, rules, may_lack=False):
    """Finds for every flax leaf its tensor in a checkpoint.

    Args:
      facts: {name: Fact} of the checkpoint.
      template: the flax variables, arrays or their shapes.
      rules: a table, rows or `Checkpoint`.
      may_lack: whether tensors may be missing that are not optional.

    Returns:
      `Match`; `refuse` raises what is wrong with it.

    Raises:
      ValueError: the table does not fit the model.
    """
    checkpoint = table.checkpoint_of(rules)
    pairs = {pair.name: pair for pair in table.expand(template, checkpoint)}
    wanted = {name: _resolve(name, pairs, checkpoint) for name in facts}
    claims = {}
    for name, claimed in wanted.items():
        claims.setdefault(claimed, []).append(name)
    unknown = claims.pop(None, [])
    why = {name: _why_ignored(name, checkpoint) for name in unknown}
    unexpected = [name for name in unknown if why[name] is None]
    missing = [
        name
        for name in pairs.keys() - claims.keys()
        if not may_lack and not table.is_optional(name, checkpoint)
    ]
    problems = [*_absent(sorted(missing), unexpected, pairs, facts)]
    for name, claimants in claims.items():
        if len(claimants) > 1:
            problems.append(f"ambiguous: {name} is {' and '.join(claimants)}")
        problems += _misfits(pairs[name], claimants[0], facts[claimants[0]])
    return Match(
        pairs=tuple(
            (pair, claims.get(name, [None])[0]) for name, pair in pairs.items()
        ),
        ignored={name: why[name] for name in unknown if why[name] is not None},
        aliases={
            name: new
            for name, new in wanted.items()
            if new and new not in _with_prefixes(name, checkpoint.prefixes)
        },
        problems=tuple(sorted(problems)),
        total=len(pairs) + len(unknown),
    )


def refuse(match, path=None):
    """Raises ValueError if a checkpoint does not fit, naming all that does not.

    Args:
      match: from `match`.
      path: of the checkpoint, for the message.
    """
    if not match.problems:
        return
    where = f"{path}: " if path else ""
    raise ValueError(
        "\n".join(
            [
                f"{where}{len(match.problems)} of {match.total} tensors do not fit the "
                "model; give it the sizes of the checkpoint or another checkpoint:",
                *(f"  {printable(line)}" for line in match.problems),
            ]
        )
    )


def _resolve(name, pairs, checkpoint):
    """The name in the table that a name in a checkpoint stands for, or None."""
    new = name
    for pattern, replacement in checkpoint.aliases:
        new = re.sub(pattern, replacement, new)
    for spelling in (name, new):
        for candidate in _with_prefixes(spelling, checkpoint.prefixes):
            if candidate in pairs:
                return candidate
    return None


def _why_ignored(name, checkpoint):
    spellings = _with_prefixes(name, checkpoint.prefixes)
    for pattern, why in checkpoint.ignored:
        if any(re.fullmatch(pattern, spelling) for spelling in spellings):
            return why
    return None


def _with_prefixes(name, prefixes):
    """A name as it is, without each prefix, and with it."""
    prefixes = [prefix for prefix in prefixes if prefix]
    without = [name.removeprefix(prefix) for prefix in prefixes]
    return [name, *without, *(prefix + name for prefix in prefixes)]


def _absent(missing, unexpected, pairs, facts):
    """Lines on names that only one side has."""
    for number, name in enumerate(missing):
        hint = _nearest(name, unexpected) if number < MOST_HINTS else None
        hint = f"; the checkpoint has {hint} {facts[hint].shape}" if hint else ""
        yield f"missing: {name} {pairs[name].torch_shape}{hint}"
    for number, name in enumerate(unexpected):
        hint = _nearest(name, missing) if number < MOST_HINTS else None
        hint = f"; the model has {hint}" if hint else ""
        yield f"unexpected: {name} {facts[name].shape}{hint}"


def _nearest(name, others):
    if len(name) > LONGEST_HINT:
        return None
    others = [other for other in others if len(other) <= LONGEST_HINT]
    return next(iter(difflib.get_close_matches(name, others, 1, 0.8)), None)


def _misfits(pair, name, fact):
    """Lines on a tensor that both sides have, in another shape or kind."""
    if fact.shape != pair.torch_shape:
        yield (f"misshaped: {name} is {fact.shape}, expected {pair.torch_shape}")
    target = np.dtype(pair.leaf.dtype or pair.dtype)
    if fact.dtype not in DTYPES:
        yield (
            f"unreadable: {name} is {fact.dtype}, for which there is no conversion; "
            "write it as F32, F16 or BF16"
        )
    elif _kind(DTYPES[fact.dtype]) != _kind(target):
        yield f"of another kind: {name} is {fact.dtype}, the model holds {target}"


def _kind(dtype):
    kinds = {"floats": jnp.floating, "integers": jnp.integer, "booleans": jnp.bool_}
    return next((name for name, kind in kinds.items() if jnp.issubdtype(dtype, kind)))
