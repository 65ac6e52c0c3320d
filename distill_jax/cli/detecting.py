"""What the verb does that listens for a wake word."""

import contextlib
import shutil
import sys
import time
from functools import partial

import numpy as np

from distill_jax import classifier, exported, folders, streaming
from distill_jax.audio import files
from distill_jax.cli.typed import words
from distill_jax.cli.usage import UsageError, require, told
from distill_jax.export.runtimes import MissingRuntimeError

BAR, FRAME_SECONDS = 40, 0.05


def detect(options):
    """Listens for the word and tells when it was heard."""
    require(
        (options.file is None) == options.microphone,
        "give a FILE or --microphone, one of the two",
    )
    require(
        (options.workdir is None) != (options.model is None),
        "give the folder of a run as --workdir or an exported file as --model, one of "
        "the two",
    )
    known = of_file(options.model) if options.model else of_run(options.workdir)
    word, settings = settings_of(options, known)
    scorer = classifier.scorer(known, known.labels.index(word))
    origin = "given"
    if options.threshold is None:
        origin = f"found with {known.chosen['arithmetic']}"
    print(
        f"listening for {word!r} with {known.arithmetic}; threshold "
        f"{settings.threshold:.7g}, {origin}",
        file=sys.stderr,
    )
    detector = streaming.Detector(scorer, settings)
    screen, count = Screen(settings.threshold, scorer.rate_hz), 0
    with contextlib.suppress(KeyboardInterrupt):
        for block_s in sound(options, scorer, screen):
            for heard in detector.feed(block_s):
                count += heard.trigger
                screen.show(heard)
    screen.end(f"{count} triggers of {word!r}")


def of_file(path):
    """The `Classifier` of an exported file."""
    with told(OSError, ValueError, MissingRuntimeError):
        return exported.load(path)


def of_run(workdir):
    """The `Classifier` of a run."""
    # Late: it brings all that trains, which takes long and listening does without.
    from distill_jax import checkpoints, train
    from distill_jax.word_report import network

    train.cache_compilations(folders.cache("xla"))
    with told(OSError, ValueError, checkpoints.CheckpointError):
        return network.load(workdir)


def settings_of(options, known):
    """The word, and the threshold that is asked for or that `evaluate` chose."""
    chosen = known.chosen or {}
    asked = options.word or chosen.get("word", "")
    with told(ValueError):
        word = known.labels[classifier.chosen_word(known.labels, asked)]
    threshold, again = options.threshold, f"distill-jax evaluate {judged(options)}"
    if threshold is None:
        require(
            chosen,
            f"no threshold is known; run {again} first, or give --threshold",
        )
        require(
            chosen["word"] == word,
            f"the threshold that is known is of {chosen['word']!r}, not {word!r}; give "
            f"--threshold, or run {again} --word {word}",
        )
        threshold = chosen["threshold"]
        require(
            threshold is not None,
            "evaluate found no threshold with so few false accepts; give --threshold, "
            f"or run {again} with a higher --per-hour",
        )
    listening = chosen.get("listening", words.Evaluate._field_defaults)
    step = streaming.steps(known.front, listening["step_seconds"])
    return word, streaming.Settings(threshold, step, listening["smooth"])


def judged(options):
    """The options with which `evaluate` judges what is listened with."""
    if options.model:
        return f"--model {options.model} --workdir RUN"
    return f"--workdir {options.workdir}"


def sound(options, scorer, screen):
    """Blocks of the file, or of the microphone, there a frame each."""
    if options.file is not None:
        with told(OSError, ValueError):
            audio_s = files.read(options.file, scorer.rate_hz)
        size = streaming.AT_ONCE * scorer.hop
        yield from np.split(audio_s, range(size, len(audio_s), size))
        return
    microphone = opened_microphone()
    lost = partial(screen.note, "samples were lost: the computer is too slow")
    with told(microphone.MicrophoneError):
        yield from microphone.blocks(scorer.rate_hz, scorer.hop, lost)


def opened_microphone():
    """The module that records, where what it needs is there."""
    try:
        from distill_jax.audio import microphone
    except ModuleNotFoundError as error:
        raise UsageError(
            "--microphone needs sounddevice: pip install 'distill_jax[microphone]'"
        ) from error
    except OSError as error:
        raise UsageError(
            f"--microphone needs PortAudio ({error}); on Debian or Ubuntu: "
            "apt install libportaudio2"
        ) from error
    return microphone


class Screen:
    """A line with the score that moves, where there is a terminal; and the triggers."""

    def __init__(self, threshold, rate_hz):
        """Of a detector with that threshold, of sound at that rate."""
        self._threshold, self._rate_hz = threshold, rate_hz
        self._moves, self._drawn = sys.stdout.isatty(), 0.0

    def show(self, heard):
        """Draws the score; writes a line where there is a trigger."""
        seconds = heard.at / self._rate_hz
        if heard.trigger:
            self.note(f"{seconds:10.2f} s  heard, score {heard.score:.4f}")
        now = time.monotonic()
        if self._moves and now - self._drawn >= FRAME_SECONDS:
            self._drawn = now
            full = round(BAR * heard.score)
            mark = min(BAR - 1, int(BAR * self._threshold))
            cells = ["█" if place < full else "·" for place in range(BAR)]
            cells[mark] = "|" if mark >= full else "█"
            line = f"{seconds:10.2f} s  {''.join(cells)} {heard.score:.3f}"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", flush=True)

    def note(self, text):
        """Writes a line that stays."""
        print(f"\r\033[K{text}" if self._moves else text, flush=True)

    end = note


VERBS = {"Detect": detect}
