"""What can be typed to judge wake words and to listen for them."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tyro.conf import Positional, UseAppendAction, arg


class Evaluate(NamedTuple):
    """Judges a wake word on recordings that training did not see; writes a report.

    A run of configs/qat.py is judged in the integers that it was trained as.

    Example: distill-jax evaluate --workdir runs/words --word happy

    Attributes:
      workdir: Folder of the trained run; the page goes to its report.
      model: An exported file (.tflite, .onnx, .npz) to judge in its place; the page
        goes beside it and the threshold into its manifest.
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
    model: Path | None = None
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

    An exported file and the manifest beside it are all that --model needs.

    Example: distill-jax detect --microphone --workdir runs/words

    Example: distill-jax detect long.wav --model runs/qat/export/student.tflite

    Attributes:
      file: Sound file.
      workdir: Folder of the trained run.
      model: An exported file instead: .tflite, .onnx or .npz.
      microphone: Listen until Ctrl-C.
      word: Label to listen for, where the network knows several.
      threshold: Lowest score that triggers; None is what `evaluate` chose.
    """

    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    workdir: Path | None = None
    model: Path | None = None
    microphone: bool = False
    word: str = ""
    threshold: float | None = None


class Export(NamedTuple):
    """Writes a trained network as INT8 files and runs them on the test clips.

    A run of configs/qat.py is written as it was trained; any other is calibrated with
    its training clips. Every file has a manifest beside it.

    Example: distill-jax export --workdir runs/words --format tflite,c

    Attributes:
      workdir: Folder of the trained run.
      format: Out of tflite, onnx, c, npz, separated by commas.
      out: Folder for the files; None is export in the run's.
      data: Where the labelled recordings are now, if not where training found them.
      bits: Of the weights, 2 to 8; None is what the run was trained for, else 8.
    """

    workdir: Path
    format: str = "tflite,onnx,c,npz"
    out: Path | None = None
    data: Path | None = None
    bits: int | None = None


class Ledger(NamedTuple):
    """Tells what quantisation costs, from float to every runtime, as one table.

    Example: distill-jax ledger --workdir runs/qat --control runs/float

    Attributes:
      workdir: Folder of a run of configs/qat.py; the table goes to its report.
      control: Folder of the same run with configs/qat.py:float.
      data: Where the labelled recordings are now, if not where training found them.
    """

    workdir: Path
    control: Path | None = None
    data: Path | None = None


class Wakeword(NamedTuple):
    """Makes a wake word, from recordings or from its text alone, to INT8 files.

    Teachers, a student of theirs, training as integers, a report to listen to, and the
    files, checked. Stopped, the same command goes on. Needs the extra `export`, and
    `tts` without recordings.

    Example: distill-jax wakeword "hey jarvis" --workdir runs/jarvis

    Attributes:
      text: The word or phrase, in English without recordings.
      workdir: Folder for everything; index.html in it is the result.
      data: Recordings, a folder for every word (or .csv, .jsonl); the word's folder is
        called after it, all others are what it is not to be taken for.
      noise: Folder of background noise, to be heard in; without any, some is made.
      teachers: wav2vec2_bert, wav2vec2, hubert, wavlm or folders of these as
        transformers saves them, separated by commas; none learns from labels alone.
      student: Depthwise of 8.5 thousand parameters, small of 12, standard of 60.
      clips: How many times the word is spoken, without recordings.
      per_hour: False accepts that the threshold is to allow.
      seed: Another one makes another.
      set: RUN.NAME=VALUE, RUN is teachers, student or qat: student.steps=6000.
    """

    text: Annotated[str, Positional, arg(metavar="WORD")]
    workdir: Path
    data: Path | None = None
    noise: Path | None = None
    teachers: str = "wav2vec2_bert,wav2vec2"
    student: Literal["depthwise", "small", "standard"] = "depthwise"
    clips: int = 1000
    per_hour: float = 0.5
    seed: int = 0
    set: UseAppendAction[tuple[str, ...]] = ()


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
