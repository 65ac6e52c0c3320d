"""The command `distill-jax`: everything that is not training.

Importing JAX takes seconds, so that `--help` would; what the verbs do is imported
once the arguments are known to be right.
"""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro
from tyro.conf import Positional, UseAppendAction, arg, subcommand

from distill_jax.cli.usage import UsageError
from distill_jax.cli.wake_word import Detect, Evaluate

Format = Literal["wav", "flac"]


class Reconstruct(NamedTuple):
    """Sends sounds of any length through the model and writes what comes back.

    Example: distill-jax reconstruct dog.wav more_sounds/ --workdir runs/vae

    Attributes:
      files: Sound files, and folders to search for them.
      workdir: Folder of the trained run.
      out: Folder for the results; folders inside folders are kept.
      format: Of the results.
    """

    files: Annotated[tuple[Path, ...], Positional, arg(metavar="FILES")]
    workdir: Path
    out: Path = Path("sounds")
    format: Format = "wav"


class Generate(NamedTuple):
    """Makes new sounds that resemble those the model was trained on.

    Example: distill-jax generate --workdir runs/vae -n 4 --axis brightness=+2

    Attributes:
      workdir: Folder of the trained run.
      count: How many sounds.
      seconds: Length of each.
      seed: Of the first sound; each next one has the next seed.
      temperature: How far from the average sound: 0 is the average, 1 as far as
        the training sounds are, more is stranger.
      prior: Where to draw: among the training sounds (fitted), or from the
        standard normal distribution that training pulls them to (standard).
      axis: NAME=POSITION puts every sound there on an axis that `analyse` named,
        or on axis1, axis2, …; 0 is the average and 1 a standard deviation. Kept
        within the safe range.
      out: Folder for the results.
      format: Of the results.
    """

    workdir: Path
    count: Annotated[int, arg(aliases=["-n"])] = 1
    seconds: float = 4.0
    seed: int = 0
    temperature: float = 1.0
    prior: Literal["fitted", "standard"] = "fitted"
    axis: UseAppendAction[tuple[str, ...]] = ()
    out: Path = Path("sounds")
    format: Format = "wav"


class Interpolate(NamedTuple):
    """Writes the sounds that lie between two, both ends among them.

    Example: distill-jax interpolate bell.wav dog.wav --steps 5 --workdir runs/vae

    Attributes:
      start: Sound file to begin with.
      end: Sound file to end with; of the longer one the beginning is used.
      workdir: Folder of the trained run.
      steps: How many sounds, at least 2.
      morph: One sound that turns from one into the other, instead of steps.
      out: Folder for the results.
      format: Of the results.
    """

    start: Annotated[Path, Positional, arg(metavar="START")]
    end: Annotated[Path, Positional, arg(metavar="END")]
    workdir: Path
    steps: int = 5
    morph: bool = False
    out: Path = Path("sounds")
    format: Format = "wav"


class Analyse(NamedTuple):
    """Finds the axes along which the training sounds differ; tells what each changes.

    Example: distill-jax analyse --workdir runs/vae

    Attributes:
      workdir: Folder of the trained run; the page goes to its report.
      seed: Of the sounds that are moved and of the random directions.
    """

    workdir: Path
    seed: int = 0


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
    """

    source: Annotated[Path, Positional, arg(metavar="SRC")]
    out: Annotated[Path, Positional, arg(metavar="OUT")]
    dtype: Literal["keep", "float32", "bfloat16", "float16"] = "keep"
    shard_gb: float = 5.0


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


class Extract(NamedTuple):
    """Writes a hidden layer of a speech encoder for every sound file.

    The model is a folder as transformers saves it: Wav2Vec2-BERT, Wav2Vec2, HuBERT or
    WavLM. Example: distill-jax extract speech/ --model w2v-bert-2.0/ --out features

    Attributes:
      files: Sound files, and folders to search for them.
      model: Folder with config.json and safetensors.
      out: Folder for the results, one .safetensors a file, and an index; the same
        command goes on where it was left.
      layer: 17 is what the 17th layer gives, 0 what the first one takes.
      stats: File with mean and var (or std) to normalise with; see `stats`.
      dtype: Of weights and activations.
      batch_seconds: Sound that is encoded at a time; less takes less memory.
    """

    files: Annotated[tuple[Path, ...], Positional, arg(metavar="FILES")]
    model: Path
    out: Path = Path("features")
    layer: int = 17
    stats: Path | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_seconds: float = 60.0


class Stats(NamedTuple):
    """Measures mean and variance of a hidden layer over a corpus, for `extract`.

    Example: distill-jax stats speech/ --model w2v-bert-2.0/ --out stats.safetensors

    Attributes:
      files: Sound files, and folders to search for them.
      model: Folder with config.json and safetensors.
      out: The .safetensors file to write.
      layer: As for `extract`.
      dtype: Of weights and activations.
      batch_seconds: Sound that is encoded at a time; less takes less memory.
    """

    files: Annotated[tuple[Path, ...], Positional, arg(metavar="FILES")]
    model: Path
    out: Path = Path("stats.safetensors")
    layer: int = 17
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_seconds: float = 60.0


Verb = (
    Annotated[Reconstruct, subcommand("reconstruct")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Interpolate, subcommand("interpolate")]
    | Annotated[Analyse, subcommand("analyse")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Convert, subcommand("convert")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Extract, subcommand("extract")]
    | Annotated[Stats, subcommand("stats")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Detect, subcommand("detect")]
)


# Where the verbs are that are not in `verbs`.
HOME = {
    "Inspect": "tensors",
    "Convert": "tensors",
    "Verify": "tensors",
    "Extract": "encoders",
    "Stats": "encoders",
    "Evaluate": "words",
    "Detect": "words",
}


def main(arguments=None):
    """Runs one verb; what the user can mend is told in one message, with status 2.

    Args:
      arguments: a list of them; None takes those of the process.
    """
    options = tyro.cli(
        Verb,
        prog="distill-jax",
        description="Plays a sound VAE; turns speech into features; judges wake words; "
        "looks after checkpoints of PyTorch models. Sound files tell in a tag how to "
        "make them.",
        args=arguments,
    )
    name = type(options).__name__
    module = importlib.import_module(f"distill_jax.cli.{HOME.get(name, 'verbs')}")
    try:
        status = module.VERBS[name](options)
    except UsageError as error:
        print(f"distill-jax: {error}", file=sys.stderr)
        sys.exit(2)
    if status:
        sys.exit(status)
