"""What can be typed to look after checkpoints of PyTorch models."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tyro.conf import Positional, arg


class Inspect(NamedTuple):
    """Tells what is in a checkpoint of a PyTorch model: tensors, sizes, which model.

    Only headers are read. Example: distill-jax inspect w2v-bert-2.0/

    Attributes:
      path: A safetensors file, an index of several, or the folder of either.
      json: Every fact as JSON.
    """

    path: Annotated[Path, Positional, arg(metavar="PATH")]
    json: bool = False


class Convert(NamedTuple):
    """Rewrites a checkpoint of a PyTorch model in another dtype or size of files.

    Example: distill-jax convert w2v-bert-2.0/ half/ --dtype bfloat16

    Attributes:
      source: A safetensors file, an index of several, or the folder of either.
      out: Folder for the result, empty or not there yet.
      dtype: Of all floating-point tensors; keep leaves each as it is.
      shard_gb: Most that one file holds, in GB; more goes to several and an index.
      json: Every fact on the result as JSON.
    """

    source: Annotated[Path, Positional, arg(metavar="SRC")]
    out: Annotated[Path, Positional, arg(metavar="OUT")]
    dtype: Literal["keep", "float32", "bfloat16", "float16"] = "keep"
    shard_gb: float = 5.0
    json: bool = False


class Verify(NamedTuple):
    """Compares two checkpoints tensor by tensor; the status is 1 if they differ.

    Example: distill-jax verify w2v-bert-2.0/ half/ --tolerance 0.01

    Attributes:
      first: A safetensors file, an index of several, or the folder of either.
      second: The same.
      tolerance: Largest absolute difference that is still the same.
      json: Every difference as JSON.
    """

    first: Annotated[Path, Positional, arg(metavar="A")]
    second: Annotated[Path, Positional, arg(metavar="B")]
    tolerance: float = 0.0
    json: bool = False
