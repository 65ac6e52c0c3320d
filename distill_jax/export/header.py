"""A C header with the .tflite file and everything that a front end needs."""

import re

import numpy as np

from distill_jax.audio import features, fourier
from distill_jax.export import tflite

PER_LINE = 16
Q15 = 1 << 15
THRESHOLD, BEFORE = "DISTILL_THRESHOLD", "DISTILL_MODEL_BYTES"
TEMPLATE = """\
/* {description}

   The network takes int8 [1, DISTILL_FRAMES, DISTILL_MELS, 1] and gives int8
   [1, DISTILL_LABELS], logits of DISTILL_OUTPUT_SCALE a step. A frame is
   DISTILL_WINDOW_SAMPLES samples (full scale 1) times distill_window_q15 / 32768,
   the squared magnitude of their DISTILL_FFT_SAMPLES-point Fourier transform, summed
   over the bins of each band with distill_band_weights_q15 / 32768, and
   code = DISTILL_GAIN * log(power + DISTILL_FLOOR) + DISTILL_OFFSET, rounded and
   limited to -128 to 127. The next frame starts DISTILL_HOP_SAMPLES later. */
#pragma once

#include <stdint.h>
#ifndef __cplusplus
#include <stdalign.h>
#endif

{numbers}

static const char *const distill_labels[] = {{{labels}}};

{arrays}
"""


def write(model, card):
    """Makes the header, for C11 and C++.

    Args:
      model: `integer.Model`.
      card: `Card`.

    Returns:
      bytes.
    """
    content = tflite.write(model, card.description)
    numbers = [*_numbers(model, card), (BEFORE, len(content))]
    arrays = [
        ("alignas(16) static const unsigned char distill_model", list(content)),
        *_front_end(card.front),
    ]
    values = {
        "description": card.description.replace("*/", "* /"),
        "numbers": "\n".join(f"#define {name} {value}" for name, value in numbers),
        "labels": ", ".join(map(quoted, card.labels)),
        "arrays": "\n\n".join(_array(*each) for each in arrays),
    }
    return TEMPLATE.format(**values).encode()


def with_threshold(content, threshold):
    """A header as `write` makes it of a card with that threshold.

    Args:
      content: bytes that `write` made.
      threshold: see `Card`.

    Returns:
      bytes.
    """
    lines = content.decode().split("\n")
    lines = [line for line in lines if not line.startswith(f"#define {THRESHOLD} ")]
    (at,) = (n for n, line in enumerate(lines) if line.startswith(f"#define {BEFORE} "))
    lines.insert(at, f"#define {THRESHOLD} {_float(threshold['threshold'])}")
    return "\n".join(lines).encode()


def quoted(text):
    """A string as C writes it; everything but plain ASCII becomes octal."""
    plain = re.compile(rb"[ !#-\[\]-~]")
    cells = (bytes([byte]) for byte in text.encode())
    return '"' + "".join(_cell(cell, plain) for cell in cells) + '"'


def _cell(cell, plain):
    # Not of two question marks either: trigraphs.
    known = plain.fullmatch(cell) and cell != b"?"
    return cell.decode() if known else f"\\{cell[0]:03o}"


def _numbers(model, card):
    front, input_codes, frames = card.front, model.input, model.size[0]
    # code = GAIN * log(power + FLOOR) + OFFSET, then rounded and limited to int8.
    gain = front.scale / input_codes.scale
    yield "DISTILL_RATE_HZ", front.rate_hz
    yield "DISTILL_WINDOW_SAMPLES", front.window
    yield "DISTILL_HOP_SAMPLES", front.hop
    yield "DISTILL_FFT_SAMPLES", front.n_fft
    yield "DISTILL_FRAMES", frames
    yield "DISTILL_MELS", front.mels
    yield "DISTILL_LABELS", len(card.labels)
    yield "DISTILL_FLOOR", _float(front.floor)
    yield "DISTILL_GAIN", _float(gain)
    yield "DISTILL_OFFSET", _float(gain * front.shift + input_codes.zero)
    yield "DISTILL_OUTPUT_SCALE", _float(model.logits.scale)
    yield "DISTILL_OUTPUT_ZERO", f"({model.logits.zero})"
    if card.threshold:
        yield THRESHOLD, _float(card.threshold["threshold"])


def _float(value):
    # Nine digits bring back a float32; the point makes it one for C.
    text = f"{np.float32(value):.9g}"
    return f"({text if re.search('[.e]', text) else text + '.0'}f)"


def _front_end(front):
    """The window and the bands in Q15, each band from its first bin on."""
    hann_s = _q15(fourier.hann(front.window))
    weight_kf = features.mel_filters(front.mel)
    firsts, counts, weights = [], [], []
    for weight_k in weight_kf.T:
        (bins,) = np.nonzero(weight_k)
        firsts.append(int(bins[0]))
        counts.append(int(bins[-1] - bins[0] + 1))
        weights += _q15(weight_k[bins[0] : bins[-1] + 1])
    yield "static const int16_t distill_window_q15", hann_s
    yield "static const int16_t distill_band_first_bin", firsts
    yield "static const int16_t distill_band_bins", counts
    yield "static const int16_t distill_band_weights_q15", weights


def _q15(x):
    return np.minimum(np.rint(x * Q15), Q15 - 1).astype(int).tolist()


def _array(declaration, values):
    rows = (values[at : at + PER_LINE] for at in range(0, len(values), PER_LINE))
    lines = ",\n".join("  " + ", ".join(map(str, row)) for row in rows)
    return f"{declaration}[{len(values)}] = {{\n{lines}\n}};"
