"""What can be typed to judge wake words and to listen for them."""

from pathlib import Path
from typing import Annotated, NamedTuple

from tyro.conf import Positional, UseAppendAction, arg


class Evaluate(NamedTuple):
    """Judges a wake word on recordings that training did not see; writes a report.

    Example: distill-jax evaluate --workdir runs/words --word happy

    Attributes:
      workdir: Folder of the trained run; the page goes to its report.
      word: Label to listen for, where the network knows several.
      data: Where the labelled recordings are now, if not where training found them.
      noise: Folder of more background noise, which training has not used.
      per_hour: False accepts that the threshold is to allow.
      step_seconds: From one score to the next; rounded to whole frames.
      smooth: How many scores the mean is taken of.
      snr_db: How far above noise the speech is, besides clean.
      seed: Of order, pauses and noise.
    """

    workdir: Path
    word: str = ""
    data: Path | None = None
    noise: Path | None = None
    per_hour: float = 0.5
    step_seconds: float = 0.02
    smooth: int = 5
    snr_db: tuple[float, ...] = (10.0, 5.0, 0.0, -5.0)
    seed: int = 0


class Detect(NamedTuple):
    """Listens to a file or the microphone and tells when the wake word is heard.

    Example: distill-jax detect --microphone --workdir runs/words

    Attributes:
      workdir: Folder of the trained run.
      file: Sound file.
      microphone: Listen until Ctrl-C.
      word: Label to listen for, where the network knows several.
      threshold: Lowest score that triggers; None is what `evaluate` chose.
    """

    workdir: Path
    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    microphone: bool = False
    word: str = ""
    threshold: float | None = None


class CacheTeachers(NamedTuple):
    """Lets teachers hear all views of all clips once, so that students train quickly.

    Training does it too, when it starts; this is for doing it beforehand, on a machine
    with a GPU. Stopped, the same command goes on.
    Example: distill-jax cache-teachers configs/distill.py:dual --set distill.views=8
    --set data.root=speech_commands

    Attributes:
      config: Config of the student, with its variants.
      set: Settings that are changed, NAME=VALUE, as the training command has them.
    """

    config: Annotated[str, Positional, arg(metavar="CONFIG")]
    set: UseAppendAction[tuple[str, ...]] = ()
