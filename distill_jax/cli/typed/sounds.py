"""What can be typed to play a sound VAE."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tyro.conf import Positional, UseAppendAction, arg

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
