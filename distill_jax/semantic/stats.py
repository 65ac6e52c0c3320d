"""Mean and spread of features over a corpus, in a file."""

import importlib
import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill_jax import weights


class Stats(NamedTuple):
    """Statistics of features.

    Attributes:
      mean_d: [width].
      std_d: standard deviation, above 0, [width].
    """

    mean_d: np.ndarray
    std_d: np.ndarray


def normalise(feature_td, stats):
    """(x - mean) / std, [frames, width]."""
    return (feature_td - stats.mean_d[None]) / stats.std_d[None]


def read(path, width):
    """Reads `mean` and `var`, or `std`, which wins where a file has both.

    Args:
      path: a .safetensors file, or a .pt file where torch is installed, of which
        only tensors are read and nothing is run.
      width: of the features.

    Returns:
      `Stats`, float32.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is neither, or its numbers cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such stats file; `distill-jax stats`")
    tensors = _tensors(path)
    if "mean" not in tensors or not tensors.keys() & {"var", "std"}:
        raise ValueError(
            f"{path} has {sorted(tensors)}, expected mean and var, or mean and std"
        )
    mean_d = np.asarray(tensors["mean"], np.float32).reshape(-1)
    spread = "std" if "std" in tensors else "var"
    spread_d = np.asarray(tensors[spread], np.float32).reshape(-1)
    if mean_d.shape != (width,) or spread_d.shape != (width,):
        raise ValueError(
            f"{path} is for {mean_d.size} and {spread_d.size} features, the encoder "
            f"gives {width}; take the stats of this encoder"
        )
    bad = ~np.isfinite(mean_d) | ~np.isfinite(spread_d) | (spread_d <= 0)
    if bad.any():
        raise ValueError(
            f"{path}: {bad.sum()} of {width} features are not finite or have no spread"
        )
    return Stats(mean_d, spread_d if spread == "std" else np.sqrt(spread_d))


def _tensors(path):
    if path.suffix == ".safetensors":
        return weights.read(path)
    if path.suffix not in (".pt", ".pth", ".bin"):
        raise ValueError(f"{path} is neither .safetensors nor .pt; convert it")
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ValueError(
            f"{path} is a file of PyTorch, which is not installed; pip install torch, "
            "or save mean and var as .safetensors where it is"
        ) from error
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is not a file of tensors: {error}") from error
    if not isinstance(tensors, dict) or not all(map(torch.is_tensor, tensors.values())):
        raise ValueError(f"{path} is not a dictionary of tensors, as mean and var are")
    return {name: tensor.float().numpy() for name, tensor in tensors.items()}


def measure(features):
    """Mean and variance over the frames of many arrays, one after the other.

    Args:
      features: yields [frames, width].

    Returns:
      {"mean", "var"}: float32 [width], and the number of frames.

    Raises:
      ValueError: there are fewer than two frames.

    Source: Chan, Golub & LeVeque 1983, eq. 2.1, in float64.
    """
    count, mean_d, square_d = 0, 0.0, 0.0
    for feature_td in features:
        part_td = np.asarray(feature_td, np.float64)
        if not len(part_td):
            continue
        shift_d = part_td.mean(axis=0) - mean_d
        total = count + len(part_td)
        square_d = square_d + np.square(part_td - part_td.mean(axis=0)).sum(axis=0)
        square_d = square_d + np.square(shift_d) * count * len(part_td) / total
        mean_d = mean_d + shift_d * len(part_td) / total
        count = total
    if count < 2:
        raise ValueError(f"{count} frames, expected at least 2 to measure a variance")
    tensors = {"mean": np.float32(mean_d), "var": np.float32(square_d / count)}
    return tensors, count


def write(path, tensors, metadata):
    """Writes what `measure` gave, whole or not at all.

    Args:
      path: a .safetensors file.
      tensors: {"mean", "var"}.
      metadata: what it was measured on.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    weights.write(path, tensors, {name: str(value) for name, value in metadata.items()})
