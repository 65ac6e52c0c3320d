"""What a training step of every job takes, per device and example, by formula."""

from typing import NamedTuple

from benchmarks import layer_costs
from benchmarks.layer_costs import total

CLASSES = 35  # Words of Speech Commands.
SAMPLES, FRAMES = 16_000, 49  # A second, and what both encoders make of it.
FLOAT = 4
WHOLE = 0  # Cost of a part that is there already.


class Job(NamedTuple):
    """A training job.

    Attributes:
      name: for people.
      trained: numbers that the optimizer moves.
      frozen: numbers that are read only.
      held: numbers of which there is a moving average, trained or not.
      flops: of an example, forward and backward; a multiplication and an addition are
        two.
      kept: numbers of an example that the backward pass reads again.
      input: bytes of an example that the host hands over.
      width: bytes of a number in activations and products.
    """

    name: str
    trained: int
    frozen: int
    held: int
    flops: int
    kept: int
    input: int
    width: int = FLOAT


def learnt(cost, first=WHOLE):
    """FLOPs of a part forward and backward.

    Each product is there three times, with its inputs, and once with what comes back
    for either; nothing comes back to `first`, of whose input nothing is learnt.
    """
    return 2 * (3 * cost.products - (first and first.products))


def vae():
    """`configs/vae.py`: a second at 48 kHz, 128 mels in 94 frames."""
    parts = layer_costs.conv_vae()
    cost = total(parts.values())
    flops = learnt(cost, parts["first"])
    return Job("VAE", cost.params, 0, cost.params, flops, cost.kept, FLOAT * 48_000)


def bert_teacher(width=2):
    """`configs/teacher.py:wav2vec2_bert`, all of it trained, in bfloat16."""
    parts = [*layer_costs.wav2vec2_bert(FRAMES).values()]
    cost = total([*parts, layer_costs.head(FRAMES, 1024, CLASSES)])
    audio, name = FLOAT * SAMPLES, "teacher, Wav2Vec2-BERT"
    counts = cost.params, 0, cost.params
    return Job(name, *counts, learnt(cost), cost.kept, audio, width)


def wav2vec2_teacher(width=2):
    """`configs/teacher.py:wav2vec2`, its convolutions over the waveform frozen."""
    parts = layer_costs.wav2vec2(SAMPLES)
    wave = parts.pop("waveform")
    cost = total([*parts.values(), layer_costs.head(FRAMES, 768, CLASSES)])
    flops = 2 * wave.products + learnt(cost)
    counts = cost.params, 0, cost.params + wave.params
    audio, name = FLOAT * SAMPLES, "teacher, Wav2Vec2 base"
    return Job(name, *counts, flops, cost.kept, audio, width)


def teachers():
    """Both teachers as they are asked: `Cost`, forward only."""
    parts = *layer_costs.wav2vec2_bert(FRAMES).values(), *_asked_base()
    heads = [layer_costs.head(FRAMES, width, CLASSES) for width in (768, 1024)]
    return total([*parts, *heads])


def _asked_base():
    return layer_costs.wav2vec2(SAMPLES).values()


def student():
    """TinyConv and a projector to each teacher: `Cost`, and its first convolution."""
    parts = layer_costs.tiny_conv(CLASSES)
    projectors = [layer_costs.projector(64, width) for width in (768, 1024)]
    return total([*parts.values(), *projectors]), parts["first"]


def distilled(live):
    """`configs/distill.py:dual`: teachers asked live, or their answers read."""
    cost, first = student()
    asked = teachers() if live else layer_costs.Cost()
    name = "distillation, live" if live else "distillation, cached"
    handed = FLOAT * SAMPLES + (0 if live else answer_bytes())
    flops = 2 * asked.products + learnt(cost, first)
    counts = cost.params, asked.params, cost.params
    return Job(name, *counts, flops, cost.kept, handed)


def answer_bytes(layer=FLOAT):
    """What is kept of a view: logits of both teachers and a layer of each."""
    return FLOAT * 2 * CLASSES + layer * (768 + 1024)


def quantised():
    """`configs/qat.py` without teachers: the student's products, simulated in float32.

    Every layer rounds besides, which is not counted.
    """
    parts = layer_costs.tiny_conv(CLASSES)
    cost = total(parts.values())
    counts = cost.params, 0, cost.params
    flops = learnt(cost, parts["first"])
    return Job("QAT", *counts, flops, cost.kept, FLOAT * SAMPLES)


def all_jobs():
    """Every `Job`."""
    tuned = bert_teacher(), wav2vec2_teacher()
    return [vae(), *tuned, distilled(live=True), distilled(live=False), quantised()]


def state_bytes(job, fsdp=1):
    """Weights, gradients, both moments, the average, and a copy in bfloat16.

    With `fsdp` devices to a copy, what a checkpoint holds is cut. The weights of a step
    are collected whole, in the type of its products, and gradients come back whole.
    """
    saved = FLOAT * (2 * job.held + 2 * job.trained + job.frozen)
    gathered = job.width * (job.held + job.frozen)
    copied = gathered if fsdp > 1 or job.width != FLOAT else 0
    return saved // fsdp + FLOAT * job.trained + copied


def kept_bytes(job, examples):
    """Activations that wait for the backward pass."""
    return job.width * job.kept * examples
