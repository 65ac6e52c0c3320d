"""What a network consists of, as the integer arithmetic sees it."""

from typing import NamedTuple

KINDS = ("conv", "depthwise", "pointwise")


class Unit(NamedTuple):
    """A convolution, its batch norm and a ReLU, which become one integer operation.

    Attributes:
      kind: "conv", "depthwise" (3x3 both) or "pointwise" (1x1).
      stride: 1 or 2.
      adds: which activation is added before the ReLU: 0 is the input of the network,
        n the output of the unit before number n; None adds nothing.
    """

    kind: str
    stride: int
    adds: int | None


def units(plan):
    """The convolutions of a plan with what each of them adds.

    Args:
      plan: as `TinyConv.plan` gives it.

    Returns:
      [`Unit`].

    Raises:
      ValueError: there is no integer form of some layers; all are named.
    """
    problems, found, given = [], [], 0
    for number, layer in enumerate(plan):
        if layer.kind not in KINDS:
            problems.append(f"layer {number} is {layer.kind!r}")
        elif layer.stride not in (1, 2):
            problems.append(f"layer {number} has stride {layer.stride}")
        elif layer.kind == "pointwise" and layer.stride != 1:
            problems.append(f"layer {number} is pointwise with stride {layer.stride}")
        if layer.kind != "pointwise":
            given = number
        found.append(Unit(layer.kind, layer.stride, given if layer.adds else None))
    if problems:
        raise ValueError(
            f"{'; '.join(problems)}: there is no integer form of that; use layers out "
            f"of {', '.join(KINDS)} at stride 1 or 2, pointwise ones at 1"
        )
    return found


def sites(units):
    """Names of the activations that have a range each, in order.

    `input`; `layer_N`, what unit N gives after its ReLU; `branch_N`, what it has
    before an addition; `embed`, the mean; `logits`.
    """
    names = ["input"]
    for number, unit in enumerate(units):
        if unit.adds is not None:
            names.append(f"branch_{number}")
        names.append(f"layer_{number}")
    return [*names, "embed", "logits"]
