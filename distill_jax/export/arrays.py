"""The integer network as an .npz file, for one's own programs; and back."""

import io
import json
import zipfile

import numpy as np

from distill_jax.quant import integer
from distill_jax.quant.codes import Codes

VERSION = 1


def write(model, description):
    """Makes the file.

    Args:
      model: `integer.Model`.
      description: a line that the file keeps.

    Returns:
      bytes: arrays `layer_N/weight`, `/bias`, `/scale`, the same of `dense`, and
      `network`, JSON of all that is not an array.
    """
    arrays, layers = {}, []
    for number, conv in enumerate(model.convs):
        name = f"layer_{number}"
        arrays[f"{name}/weight"] = conv.weight_yxio
        arrays[f"{name}/bias"] = conv.bias_o
        arrays[f"{name}/scale"] = conv.scale_o
        layers.append(
            {
                "kind": conv.kind,
                "stride": conv.stride,
                "adds": conv.adds,
                "branch": _plain(conv.branch),
                "out": _plain(conv.out),
            }
        )
    dense = model.dense
    arrays["dense/weight"], arrays["dense/bias"] = dense.weight_io, dense.bias_o
    arrays["dense/scale"] = dense.scale
    network = {
        "version": VERSION,
        "description": description,
        "size": list(model.size),
        "layers": layers,
        **{name: _plain(getattr(model, name)) for name in ("input", "embed", "logits")},
    }
    file = io.BytesIO()
    np.savez(file, network=json.dumps(network), **arrays)
    return file.getvalue()


def read(content):
    """The `integer.Model` of the bytes of a file.

    Raises:
      ValueError: it is damaged, or something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = dict(found)
        return _model(json.loads(str(arrays["network"])), arrays)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ValueError(
            f"not an integer network, or damaged ({error}); export it again"
        ) from error


def _model(network, arrays):
    if network["version"] != VERSION:
        raise ValueError(f"version {network['version']}, expected {VERSION}")
    convs = [
        integer.Conv(
            layer["kind"],
            layer["stride"],
            layer["adds"],
            arrays[f"layer_{number}/weight"],
            arrays[f"layer_{number}/bias"],
            arrays[f"layer_{number}/scale"],
            _codes(layer["branch"]),
            _codes(layer["out"]),
        )
        for number, layer in enumerate(network["layers"])
    ]
    dense = integer.Dense(
        arrays["dense/weight"], arrays["dense/bias"], np.float32(arrays["dense/scale"])
    )
    return integer.Model(
        tuple(network["size"]),
        _codes(network["input"]),
        tuple(convs),
        _codes(network["embed"]),
        dense,
        _codes(network["logits"]),
    )


def _plain(codes):
    # A float32 comes back from its shortest decimal form as it was.
    return None if codes is None else [float(codes.scale), codes.zero]


def _codes(plain):
    return None if plain is None else Codes(np.float32(plain[0]), plain[1])
