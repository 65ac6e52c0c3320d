"""Axes as plain values, for files and for people, and how to move along them."""

import numpy as np

from distill_jax.audio import descriptors
from distill_jax.sound_analysis import evidence


def of(axes, effects):
    """The axes and what they do, as plain values, strongest first.

    Named axes are turned so that a higher position is more of their name.

    Args:
      axes: `axes.Axes`.
      effects: their `Effects`.

    Returns:
      A list of dictionaries: `name` or None; `vector`, `std`, `safe` (lowest and
      highest position, in `std`) and `share` of the variance; `effects`, for each
      descriptor `rho` and `change`, in standard deviations of the corpus; `leakage`,
      that of the descriptor changed most beside the name; and `path`, the mean of
      each descriptor at `positions`.
    """
    named = evidence.names(effects)
    return [
        _record(axes, effects, axis, named.get(axis)) for axis in range(len(axes.std_a))
    ]


def _record(axes, effects, axis, kind):
    turn = -1 if kind is not None and effects.change_a5[axis, kind] < 0 else 1
    safe_2 = np.sort(turn * axes.safe_a2[axis])
    effect_of = {
        name: {
            "rho": float(turn * effects.rho_a5[axis, index]),
            "change": float(turn * effects.change_a5[axis, index]),
        }
        for index, name in enumerate(descriptors.NAMES)
    }
    name = None if kind is None else descriptors.NAMES[kind]
    path_p5 = effects.path_ap5[axis][::turn]
    return {
        "name": name,
        "vector": (turn * axes.vector_az[axis]).tolist(),
        "std": float(axes.std_a[axis]),
        "safe": safe_2.tolist(),
        "share": float(axes.share_a[axis]),
        "effects": effect_of,
        "leakage": _leakage(effect_of, name),
        "positions": np.linspace(*safe_2, len(path_p5)).tolist(),
        "path": dict(zip(descriptors.NAMES, path_p5.T.tolist(), strict=True)),
    }


def _leakage(effect_of, name):
    """The effect that is greatest beside the one that gave the name."""
    beside = {
        other: effect
        for other, effect in effect_of.items()
        if other != name and np.isfinite(effect["change"])
    }
    if name is None or not beside:
        return None
    other = max(beside, key=lambda key: abs(beside[key]["change"]))
    return {"descriptor": other, **beside[other]}


def find(analysis, name):
    """The axis of that name, or the one numbered so: "axis3" is the third.

    Args:
      analysis: the dictionary of `analyse`.
      name: of the axis.

    Returns:
      Its record.

    Raises:
      ValueError: there is none; tells which there are.
    """
    of_name = {record["name"]: record for record in analysis["axes"] if record["name"]}
    of_number = {f"axis{n}": record for n, record in enumerate(analysis["axes"], 1)}
    if name in of_name or name in of_number:
        return of_name.get(name) or of_number[name]
    named = ", ".join(of_name) or "none: no axis of this model has earned a name"
    last = f"axis1 to axis{len(of_number)}" if of_number else "none"
    raise ValueError(f"no axis is called {name!r}; named: {named}; by number: {last}")


def move(analysis, latent_nz, position_of):
    """Puts latents at a position on some axes, all else left as it is.

    Args:
      analysis: the dictionary of `analyse`.
      latent_nz: [rows, latents].
      position_of: {name: standard deviations from the mean of the training sounds},
        names as `find` takes them.

    Returns:
      [rows, latents].

    Raises:
      ValueError: there is no such axis.
    """
    latent_nz = np.float64(latent_nz)
    for name, position in position_of.items():
        record, mean_z = find(analysis, name), np.array(analysis["mean"])
        vector_z = np.array(record["vector"])
        offset_n = position * record["std"] - (latent_nz - mean_z[None, :]) @ vector_z
        latent_nz = latent_nz + offset_n[:, None] * vector_z[None, :]
    return np.float32(latent_nz)
