"""What can be typed to get features from speech, and speech from text."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tyro.conf import Positional, arg

Format = Literal["wav", "flac"]


class Extract(NamedTuple):
    """Writes a hidden layer of a speech encoder for every sound file.

    The model is a folder as transformers saves it: Wav2Vec2-BERT, Wav2Vec2, HuBERT or
    WavLM. Start it as often as there are machines or GPUs that see the same folders,
    with the same options: they share the work and go on where one died.
    Example: distill-jax extract speech/ --model w2v-bert-2.0/ --out features

    Attributes:
      files: Sound files, and folders to search for them.
      model: Folder with config.json and safetensors.
      out: Folder for the results and their index; the same command goes on where it
        was left.
      store: A .safetensors for every sound, or files of 256 MB that hold many.
      layer: 17 is what the 17th layer gives, 0 what the first one takes.
      stats: File with mean and var (or std) to normalise with; see `stats`.
      dtype: Of weights and activations.
      batch_seconds: Sound that is encoded at a time, on each device; less takes less
        memory.
      report: JSON file to write what was done to.
    """

    files: Annotated[tuple[Path, ...], Positional, arg(metavar="FILES")]
    model: Path
    out: Path = Path("features")
    store: Literal["files", "shards"] = "files"
    layer: int = 17
    stats: Path | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_seconds: float = 60.0
    report: Path | None = None


class Stats(NamedTuple):
    """Measures mean and variance of a hidden layer over a corpus, for `extract`.

    Example: distill-jax stats speech/ --model w2v-bert-2.0/ --out stats.safetensors

    Attributes:
      files: Sound files, and folders to search for them.
      model: Folder with config.json and safetensors.
      out: The .safetensors file to write.
      layer: As for `extract`.
      dtype: Of weights and activations.
      batch_seconds: Sound that is encoded at a time, on each device; less takes less
        memory.
      report: JSON file to write what was done to.
    """

    files: Annotated[tuple[Path, ...], Positional, arg(metavar="FILES")]
    model: Path
    out: Path = Path("stats.safetensors")
    layer: int = 17
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_seconds: float = 60.0
    report: Path | None = None


class Speak(NamedTuple):
    """Makes the sounds of a wake word from its text: many voices, near misses, others.

    Needs the extra `tts`: libespeak-ng is GPL-3.0-or-later and loaded at run time; the
    sounds are not covered. Example: distill-jax speak "hey jarvis" --n 2000 --out word

    Attributes:
      text: The word or phrase.
      out: Folder with a subfolder for each label, and manifest.jsonl; the same command
        goes on where it was left, and a greater number adds to it.
      n: Clips of the phrase.
      near_misses: Clips of phrases a phoneme or two away, or of a part; half of --n if
        not given.
      others: Clips of other words; as many as --n if not given.
      negatives: Text file, a line each of what other words are; else built-in English.
      language: Of the text, as espeak-ng calls it: en, en-us, de, fr, …
      accents: Voices of other languages that say the phrase nearly alike speak, too.
      label: Folder of the phrase; its words joined with _ if not given.
      seed: Another one makes other clips.
      format: Of the sounds, 16 kHz.
    """

    text: Annotated[str, Positional, arg(metavar="TEXT")]
    out: Path
    n: Annotated[int, arg(aliases=["-n"])] = 2000
    near_misses: int | None = None
    others: int | None = None
    negatives: Path | None = None
    language: str = "en"
    accents: bool = True
    label: str = ""
    seed: int = 0
    format: Format = "wav"
