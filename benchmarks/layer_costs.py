"""Parameters, products and kept numbers of every network, by formula.

Sizes are those of `distill_jax.models`; what is counted of one example:

- params: numbers that are learnt, or could be;
- products: multiplications, each with its addition, of dense maps, convolutions and
  attention, forward; norms, activations, dropout, Fourier transforms and losses are not
  counted;
- kept: numbers that the backward pass reads again: what goes into and comes out of each
  dense map, norm and activation.
"""

from typing import NamedTuple

TAPS = 9


class Cost(NamedTuple):
    """What a part of a network takes, see above."""

    params: int = 0
    products: int = 0
    kept: int = 0


def total(parts):
    """The sum of some `Cost`."""
    return Cost(*map(sum, zip(*parts, strict=True)))


def dense(places, inputs, outputs, bias=True):
    """A dense map at every place; a convolution of one tap."""
    return Cost((inputs + bias) * outputs, places * inputs * outputs, places * outputs)


def norm(places, width):
    """A norm with a scale and a bias."""
    return Cost(2 * width, 0, places * width)


def activation(places, width):
    """What a nonlinearity gives."""
    return Cost(0, 0, places * width)


def conv3x3(places, inputs, outputs, bias=True):
    """Nine taps at every place, of the result or, transposed, of the input."""
    return Cost((TAPS * inputs + bias) * outputs, places * TAPS * inputs * outputs, 0)


def conv_vae(channels=(64, 128, 256, 512, 1024), latent=128, size=(128, 94)):
    """`models.conv_vae.ConvVAE`, {part: Cost}; "first" is its first convolution."""
    step = 2 ** len(channels)
    grid = [-(-side // step) for side in size]
    narrow = grid[0] * grid[1]
    places = [narrow * 4**level for level in reversed(range(len(channels)))]
    down = [
        (conv3x3(place, inputs, width), _level(place, width))
        for place, inputs, width in zip(places, (2, *channels), channels, strict=False)
    ]
    up = [
        (conv3x3(place, inputs, width), _level(4 * place, width))
        for place, inputs, width in zip(
            places[:0:-1], channels[:0:-1], channels[-2::-1], strict=True
        )
    ]
    last = conv3x3(places[0], channels[0], 2), Cost(0, 0, 2 * 2 * 4 * places[0])
    flat = narrow * channels[-1]
    heads = [dense(1, flat, latent)] * 2 + [dense(1, latent, flat)]
    convolutions = [part for pair in (*down, *up, last) for part in pair]
    return {"first": convolutions[0], "rest": total(convolutions[1:] + heads)}


def _level(places, width):
    """Batch norm and ReLU of what a convolution gives."""
    made = Cost(0, 0, places * width)
    return total([made, norm(places, width), activation(places, width)])


def tiny_conv(classes, depthwise=False, size=(49, 40)):
    """`models.tiny_conv.TinyConv` of 16-32-64-64, {part: Cost} likewise."""
    channels, strides = (16, 32, 64, 64), (2, 2, 2, 1)
    height, width = size
    parts, inputs = [], 1
    for features, stride in zip(channels, strides, strict=True):
        height, width = -(-height // stride), -(-width // stride)
        places = height * width
        if depthwise and parts:
            parts += [
                Cost(TAPS * inputs, places * TAPS * inputs, 0),
                _level(places, inputs),
                dense(places, inputs, features, bias=False),
                _level(places, features),
            ]
        else:
            conv = conv3x3(places, inputs, features, bias=False)
            parts += [conv, _level(places, features)]
        inputs = features
    rest = total([*parts[1:], dense(1, inputs, classes)])
    return {"first": parts[0], "rest": rest}


def projector(width, teacher, inner=256):
    """`models.projector.Projector` of one window."""
    parts = dense(1, width, inner), norm(1, inner), activation(1, inner)
    return total([*parts, dense(1, inner, teacher)])


def feed_forward(frames, width, inner):
    """Two dense maps with an activation between, and the norm beside them."""
    between = activation(frames, inner)
    inside, outside = dense(frames, width, inner), dense(frames, inner, width)
    return total([norm(frames, width), inside, between, outside])


def self_attention(frames, width, heads):
    """Four dense maps, the scores of all pairs, softmax, the mean of the values."""
    mixing = Cost(0, 2 * frames**2 * width, 2 * heads * frames**2)
    return total([norm(frames, width), *[dense(frames, width, width)] * 4, mixing])


def relative_keys(frames, width, heads, rows=73):
    """The product of queries and the embedding of each of 2 t - 1 distances."""
    distances = 2 * frames - 1
    return Cost(rows * width // heads, frames * distances * width, 0)


def conv_module(frames, width, taps=31):
    """The gated depthwise convolution of a conformer; its norms, its activations."""
    depthwise = Cost(taps * width, frames * taps * width, frames * width)
    maps = [dense(frames, width, size, bias=False) for size in (2 * width, width)]
    rest = [norm(frames, width)] * 2 + [activation(frames, width)] * 2
    return total([*maps, depthwise, *rest])


def conformer_layer(frames, width=1024, inner=4096, heads=16, taps=31):
    """`models.conformer.ConformerLayer`."""
    return total(
        [
            *[feed_forward(frames, width, inner)] * 2,
            self_attention(frames, width, heads),
            relative_keys(frames, width, heads),
            conv_module(frames, width, taps),
            norm(frames, width),
        ]
    )


def wav2vec2_bert(frames, count=24, width=1024, inner=4096, heads=16):
    """`models.wav2vec2_bert.Wav2Vec2Bert`, {part: Cost}."""
    mask = Cost(width, 0, 0)  # The embedding that hides frames.
    before = norm(frames, 160), dense(frames, 160, width), mask
    layer = conformer_layer(frames, width, inner, heads)
    return {"before": total(before), "layers": total([layer] * count)}


def waveform(samples, width=512):
    """`models.waveform.WaveformEncoder`: its `Cost`, and the frames that come of it."""
    parts, inputs = [norm(0, width)], 1
    for taps, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, *[2] * 6), strict=True):
        samples = (samples - taps) // stride + 1
        parts += [dense(samples, taps * inputs, width, bias=False)]
        parts += [activation(samples, width)] * (2 if inputs == 1 else 1)
        inputs = width
    return total(parts), samples


def position_conv(frames, width, taps=128, groups=16):
    """`models.waveform.PositionConv`; taps over padding are not counted."""
    pairs = sum(
        min(frames, frame + (taps - 1) // 2 + 1) - max(0, frame - taps // 2)
        for frame in range(frames)
    )
    inputs = width // groups
    params = taps * inputs * width + taps + width
    return Cost(params, pairs * inputs * width, 2 * frames * width)


def wav2vec2(samples, count=12, width=768, inner=3072, heads=12):
    """`models.wav2vec2.Wav2Vec2`, {part: Cost}; "waveform" is what tuning freezes."""
    wave, frames = waveform(samples)
    before = [norm(frames, 512), dense(frames, 512, width), Cost(width, 0, 0)]
    before += [position_conv(frames, width), norm(frames, width)]
    layer = [self_attention(frames, width, heads), feed_forward(frames, width, inner)]
    return {
        "waveform": wave,
        "before": total(before),
        "layers": total(layer * count),
    }


def head(frames, width, classes, inner=256):
    """`models.heads.ClassifierHead` without its encoder."""
    return total([dense(frames, width, inner), dense(1, inner, classes)])
