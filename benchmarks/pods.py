"""What a step would take on machines nobody has met: data sheets and a roofline."""

import math
from typing import NamedTuple

from benchmarks import jobs_by_formula
from benchmarks.jobs_by_formula import FLOAT

# Assumptions, none of them measured:
SHARE = 0.4  # of the peak that matrix products reach
FLOAT32_SHARE = 0.5  # of that again in float32, as TF32; TPUs have one fast pass too
PASSES = 4  # over each kept number: written and read, forward and backward
UPDATE_PASSES = 11  # gradient, norm, weight, two moments and average, read and written
HOP_SECONDS = 1e-6  # for the first byte to the next chip
DISPATCH_SECONDS = 1e-3  # of a step, however little there is to do
FREE = 0.9  # of the memory, for state and activations
SET_ASIDE = 1.7  # bytes for each that is kept, as on a CPU for encoders


class Pod(NamedTuple):
    """Chips of one kind and the wires between them.

    Attributes:
      name: for people.
      sides: of the torus, or the number of chips that a switch joins.
      peak: bfloat16 FLOP/s of a chip.
      memory: bytes of a chip.
      memory_rate: bytes/s of that.
      wire_rate: bytes/s that a chip sends, and receives meanwhile.
      hosts: machines that the chips are in.
    """

    name: str
    sides: tuple[int, ...]
    peak: float
    memory: float
    memory_rate: float
    wire_rate: float
    hosts: int

    @property
    def chips(self):
        """How many."""
        return math.prod(self.sides)


# docs.cloud.google.com/tpu/docs/v5e: 197 TFLOP/s, 16 GB at 819 GB/s, 400 GB/s between
# chips in both directions; 8 chips in a host. Only 256 chips close the torus: a part
# is a grid, and half the rate is assumed for it.
def v5e(*sides):
    """A slice of a TPU v5e pod."""
    chips = math.prod(sides)
    rate = 200e9 if chips == 256 else 100e9
    name = f"v5e-{chips}"
    return Pod(name, sides, 197e12, 16e9, 819e9, rate, max(1, chips // 8))


# nvidia.com/en-us/data-center/h200 (SXM): 1,979 TFLOP/s bfloat16 with sparsity, half
# without; 141 GB at 4.8 TB/s; NVLink 900 GB/s in both directions.
def h200(chips):
    """H200 in one machine."""
    return Pod(f"{chips}×H200", (chips,), 989e12, 141e9, 4.8e12, 450e9, 1)


def all_reduce_bytes(devices, size):
    """What each of the devices sends to add up arrays of so many bytes, in rings."""
    return 2 * size * (devices - 1) / devices


def all_gather_bytes(devices, size):
    """What each sends so that all hold so many bytes, of which it has a share.

    The same for reduce-scatter, the other way round.
    """
    return size * (devices - 1) / devices


def wire_bytes(job, devices, fsdp=1):
    """What each device sends in a step of this package.

    Gradients come back whole, in float32, whatever `fsdp` is; with it the weights,
    frozen ones too, are collected in every step.
    """
    gathered = job.width * job.held + FLOAT * job.frozen
    gradients = all_reduce_bytes(devices, FLOAT * job.trained)
    return gradients + all_gather_bytes(fsdp, gathered)


class Prediction(NamedTuple):
    """Seconds of a step, by what they go to; see `predicted`."""

    fsdp: int
    compute: float
    memory: float
    wire: float

    @property
    def step(self):
        """Of it all, the wires waiting for the products."""
        work = max(self.compute, self.memory) + self.wire
        return max(work, DISPATCH_SECONDS)

    @property
    def efficiency(self):
        """Share of a step that goes to products; 1 is perfect scaling."""
        return self.compute / self.step

    @property
    def limit(self):
        """What takes longest."""
        parts = {name: getattr(self, name) for name in ("compute", "memory", "wire")}
        parts["dispatch"] = DISPATCH_SECONDS
        return max(parts, key=parts.get)


def rate(job, pod):
    """FLOP/s that are assumed for its products on a chip."""
    return pod.peak * SHARE * (1 if job.width == 2 else FLOAT32_SHARE)


def fits(job, pod, examples):
    """The least number of devices to a copy with which state and batch fit, or None."""
    kept = SET_ASIDE * jobs_by_formula.kept_bytes(job, examples)
    for fsdp in (2**power for power in range(pod.chips.bit_length())):
        if jobs_by_formula.state_bytes(job, fsdp) + kept <= FREE * pod.memory:
            return fsdp
    return None


def predicted(job, pod, examples):
    """Predicts a step.

    Args:
      job: `Job`.
      pod: `Pod`.
      examples: per chip.

    Returns:
      `Prediction`, or None where it does not fit.
    """
    fsdp = fits(job, pod, examples)
    if fsdp is None:
        return None
    weights = 2 * job.width * (job.held + job.frozen)
    update = UPDATE_PASSES * FLOAT * job.trained / fsdp
    kept = PASSES * jobs_by_formula.kept_bytes(job, examples)
    hops = 2 * sum(side - 1 for side in pod.sides)
    sent = wire_bytes(job, pod.chips, fsdp) / pod.wire_rate
    return Prediction(
        fsdp,
        examples * job.flops / rate(job, pod),
        (weights + update + kept) / pod.memory_rate,
        sent + hops * HOP_SECONDS,
    )


def balance(job, pod):
    """Examples per chip whose products take as long as the gradients on the wire."""
    sent = wire_bytes(job, pod.chips) / pod.wire_rate
    return sent * rate(job, pod) / job.flops
