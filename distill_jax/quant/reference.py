"""The integer network in numpy: the specification that every file is held against."""

import numpy as np

from distill_jax.quant.codes import HIGHEST, LOWEST
from distill_jax.quant.rounding import rule

TAPS = 3


def run(model, code_btf, rounding="xnnpack"):
    """Classifies windows in integers.

    Args:
      model: `integer.Model`.
      code_btf: int8 codes of the features, [b, frames, mels].
      rounding: "xnnpack", which is also ONNX Runtime's, or "tflm", TFLite Micro's.

    Returns:
      int8 logits [b, classes] and a dictionary of the int8 codes of every site, see
      `units.sites`.

    Raises:
      ValueError: the codes have another shape or type, or there is no such rounding.
    """
    rounds = rule(rounding)
    check(model.size, code_btf)
    out = {"input": code_btf[..., None]}
    given = [_free(out["input"], model.input)]
    for number, conv in enumerate(model.convs):
        total_byxo = _convolved(given[number], conv) + conv.bias_o
        code_byxo = _coded(
            rounds.scaled(
                total_byxo, model.before(number).scale, conv.scale_o, conv.first.scale
            ),
            conv.first,
            relu=conv.adds is None,
        )
        if conv.adds is not None:
            out[f"branch_{number}"] = code_byxo
            other = given[conv.adds], model.before(conv.adds).scale
            pair = (_free(code_byxo, conv.branch), conv.branch.scale), other
            code_byxo = _coded(rounds.added(*pair, conv.out.scale), conv.out, relu=True)
        out[f"layer_{number}"] = code_byxo
        given.append(_free(code_byxo, conv.out))
    return _classified(model, given[-1], rounds, out)


def _classified(model, code_byxi, rounds, out):
    _, rows, columns, _ = code_byxi.shape
    last = model.before(len(model.convs))
    mean_bi = rounds.mean(
        code_byxi.sum(axis=(1, 2)), rows * columns, last.scale, model.embed.scale
    )
    out["embed"] = _coded(mean_bi, model.embed)
    dense = model.dense
    total_bo = _product(_free(out["embed"], model.embed), dense.weight_io)
    scaled_bo = rounds.scaled(
        total_bo + dense.bias_o, model.embed.scale, dense.scale, model.logits.scale
    )
    out["logits"] = _coded(scaled_bo, model.logits)
    return out["logits"], out


def check(size, code_btf):
    """Raises ValueError unless the codes are int8 windows of a size."""
    shape, kind = np.shape(code_btf), np.asarray(code_btf).dtype
    if shape[1:] != tuple(size) or kind != np.int8:
        raise ValueError(
            f"expected int8 codes {('b', *size)} [b, frames, mels], found {kind} "
            f"{shape}; make them with `encode` of the features of whole windows"
        )


def _free(code, codes):
    """Codes without their zero, int64."""
    return code.astype(np.int64) - codes.zero


def _coded(number, codes, relu=False):
    lowest = max(LOWEST, codes.zero) if relu else LOWEST
    return np.clip(number + codes.zero, lowest, HIGHEST).astype(np.int8)


def _convolved(code_byxi, conv):
    if conv.kind == "pointwise":
        return _product(code_byxi, conv.weight_yxio[0, 0])
    views = _views(code_byxi, conv.stride)
    weight_kio = conv.weight_yxio.reshape(TAPS**2, *conv.weight_yxio.shape[2:])
    if conv.kind == "depthwise":
        pairs = zip(views, weight_kio[:, 0].astype(np.int64), strict=True)
        return sum(view_byxi * weight_i for view_byxi, weight_i in pairs)
    pairs = zip(views, weight_kio, strict=True)
    return sum(_product(view_byxi, weight_io) for view_byxi, weight_io in pairs)


def _views(code_byxi, stride):
    """What each of the nine taps sees, padded by one code of zero all around."""
    _, rows, columns, _ = code_byxi.shape
    padded_byxi = np.pad(code_byxi, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [
        padded_byxi[:, y : y + rows : stride, x : x + columns : stride]
        for y in range(TAPS)
        for x in range(TAPS)
    ]


def _product(code, weight_io):
    # float64 holds these sums exactly, and numpy multiplies its matrices fast.
    return (code.astype(np.float64) @ weight_io.astype(np.float64)).astype(np.int64)
