"""How good a detector is: errors, rates, and how far each can be trusted."""

from distill_jax.detection.clips import (
    calibration_error,
    confusion,
    det,
    reliability,
)
from distill_jax.detection.intervals import (
    poisson,
    probit,
    wilson,
    worst_group,
)
from distill_jax.detection.streams import (
    Curve,
    Timeline,
    area,
    curve,
    false_accepts,
    free_hours,
    join,
    latencies,
    on_device,
    peaks,
    reach,
    rejected_at,
    resolves,
    spaced,
    threshold_at,
)

__all__ = [
    "Curve",
    "Timeline",
    "area",
    "calibration_error",
    "confusion",
    "curve",
    "det",
    "false_accepts",
    "free_hours",
    "join",
    "latencies",
    "on_device",
    "peaks",
    "poisson",
    "probit",
    "reach",
    "rejected_at",
    "reliability",
    "resolves",
    "spaced",
    "threshold_at",
    "wilson",
    "worst_group",
]
