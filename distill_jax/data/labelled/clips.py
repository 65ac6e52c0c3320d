"""What a corpus of labelled recordings consists of."""

from typing import NamedTuple

from distill_jax.classifier import SILENCE, UNKNOWN
from distill_jax.data import manifest

__all__ = ["SILENCE", "SPLITS", "UNKNOWN", "UNLABELLED", "Clip", "Corpus"]

SPLITS = ("train", "valid", "test")
# Labels of training clips that a low-label experiment does not look at.
UNLABELLED = "unlabelled"


class Clip(NamedTuple):
    """A stretch of a recording, and what is said in it.

    Attributes:
      path: of the file.
      label: what is said.
      split: "train", "valid", "test" or "unlabelled"; "" before it is decided.
      start_s: where in the file it begins, in seconds.
      end_s: where it ends; 0 is the end of the file until the file is read.
      speaker: who says it; "" where that is not known.
      sha256: of the decoded samples of the whole file, see `manifest.Clip`.
    """

    path: str
    label: str
    split: str = ""
    start_s: float = 0.0
    end_s: float = 0.0
    speaker: str = ""
    sha256: str = ""


class Corpus(NamedTuple):
    """Labelled clips, ready to be made into batches.

    Attributes:
      labels: the classes; `label_b` of a batch is an index into them.
      clips: tuple of `Clip` of every split.
      noise: tuple of `Clip`, background noise to train with ("train") and other
        stretches of it to evaluate with ("valid", "test"). Empty without a folder.
      files: tuple of `manifest.Clip`, the recordings of clips and noise, each once.
      proportions: how much of the training examples each label is to be; only
        their ratios matter.
      weights: the `weight_b` of training examples of each label, 1 on average.
    """

    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    noise: tuple[Clip, ...]
    files: tuple[manifest.Clip, ...]
    proportions: tuple[float, ...]
    weights: tuple[float, ...]

    def split(self, name):
        """The clips of one split, in order."""
        return [clip for clip in self.clips if clip.split == name]
