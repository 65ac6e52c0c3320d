"""What the verbs on wake words do."""

import contextlib
import json
import math
import shutil
import sys
import time
from functools import partial

import numpy as np

from distill_jax import checkpoints, folders, streaming, student, train, word_report
from distill_jax.audio import files
from distill_jax.cli.usage import UsageError, require, told
from distill_jax.word_report import network, opening
from distill_jax.word_report.listening import outcome_line

PROBLEMS = (OSError, ValueError, checkpoints.CheckpointError)
BAR, FRAME_SECONDS = 40, 0.05


def evaluate(options):
    """Judges a run on recordings it was not trained on and writes the report."""
    require(
        0 < options.per_hour < math.inf,
        f"--per-hour is {options.per_hour}, expected more than 0",
    )
    require(options.smooth > 0, f"--smooth is {options.smooth}, expected at least 1")
    listening = word_report.Listening(
        options.step_seconds,
        options.smooth,
        options.per_hour,
        options.snr_db,
        options.seed,
    )
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        job = opening.load(
            options.workdir, options.word, listening, options.data, options.noise
        )
        figures = word_report.write(job)
    print(f"\n{figures['word']!r}, threshold {figures['threshold']:.7g}")
    for name, each in figures["streaming"].items():
        print(f"{name:>7}: {outcome_line(each)}")
    print(f"Look and listen: {job.folder / 'index.html'}")


def detect(options):
    """Listens for the word and tells when it was heard."""
    require(
        (options.file is None) == options.microphone,
        "give a FILE or --microphone, one of the two",
    )
    train.cache_compilations(folders.cache("xla"))
    with told(*PROBLEMS):
        trained = student.load(options.workdir)
        word = network.chosen_word(trained.labels, options.word)
    scorer = network.scorer(trained, word)
    settings = settings_of(options, scorer, trained.labels[word])
    detector = streaming.Detector(scorer, settings)
    screen, count = Screen(settings.threshold, scorer.rate_hz), 0
    with contextlib.suppress(KeyboardInterrupt):
        for block_s in sound(options, scorer, screen):
            for heard in detector.feed(block_s):
                count += heard.trigger
                screen.show(heard)
    screen.end(f"{count} triggers of {trained.labels[word]!r}")


def settings_of(options, scorer, label):
    """The threshold that is asked for, or the one that `evaluate` chose."""
    path = options.workdir / "report" / word_report.FILE
    listening = word_report.Listening()._asdict()
    threshold = options.threshold
    if threshold is None:
        require(
            path.is_file(),
            f"{path} is missing, so that no threshold is known; run distill-jax "
            f"evaluate --workdir {options.workdir} first, or give --threshold",
        )
        figures = json.loads(path.read_text(encoding="utf-8"))
        require(
            figures["word"] == label,
            f"{path} is about {figures['word']!r}, not {label!r}; give --threshold, or "
            f"run evaluate with --word {label}",
        )
        require(
            figures["threshold"] is not None,
            f"{path} found no threshold with so few false accepts; give --threshold, "
            "or run evaluate with a higher --per-hour",
        )
        threshold, listening = figures["threshold"], figures["listening"]
    step = streaming.steps(scorer, listening["step_seconds"])
    return streaming.Settings(threshold, step, listening["smooth"])


def sound(options, scorer, screen):
    """Blocks of the file or of the microphone, a frame each."""
    if options.file is not None:
        with told(OSError, ValueError):
            audio_s = files.read(options.file, scorer.rate_hz)
        parts = np.split(audio_s, range(scorer.hop, len(audio_s), scorer.hop))
        yield from parts
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


VERBS = {"Evaluate": evaluate, "Detect": detect}
