"""The commands of a page, made small and run.

Nothing is changed but sizes. One process runs them all, since to start and to compile
is what takes long: `guided.py` reads lines of JSON, {"home": folder, "commands": lists
of words}, and answers each with what went wrong, or with "".
"""

import fnmatch
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

from absl import flags

from distill_jax import cli, main

ROOT = Path(__file__).parents[1]
# What no test can type, as patterns; and why, or what does it instead.
NOT_RUN = {
    "make .venv/*": "installs from the network",
    "make test": "is what is running",
    "make lint test long": "is what is running",
    "python3 -m venv .venv": "begins an installation from the network",
    ".venv/bin/pip install *": "installs from the network; .ci/run does",
    ".venv/bin/pre-commit install": "changes the checkout",
    ".venv/bin/distill-jax app *": "serves until Ctrl-C; test_app_browser.py opens it",
    "* --coordinator=10.0.0.1:9876 *": "four machines; test_distributed.py has some",
    ".venv/bin/distill-jax detect --microphone *": "somebody would have to speak",
    "* -m benchmarks.distillation *": "trains for hours, on recordings of its own",
    "* -m benchmarks.scaling": "compiles whole encoders; test_scaling.py has its parts",
}
# Settings of the commands that a pattern fits, taken instead of what is there.
SMALLER = {
    "*configs/*": ("steps=2", "batch=8"),
    "*configs/vae.py*": (
        "data.root=my_sounds/",  # twelve times fewer than are built in
        "model.channels=(4,4,8,8,16)",
        "model.latent=8",
        "spectrogram.rate_hz=16000",
        "spectrogram.n_fft=512",
        "spectrogram.hop=128",
        "spectrogram.mels=64",
        "data.window_seconds=0.5",
        "data.hop_seconds=0.25",
    ),
    "*configs/teacher.py*": ("warmup_steps=0", "augment.speed_probability=0.0"),
    "*configs/teacher.py*,stand_in*": (
        "teacher.encoder.num_hidden_layers=1",
        "teacher.encoder.hidden_size=24",
        "teacher.encoder.intermediate_size=24",
    ),
    "*configs/distill.py*": (
        "model.channels=(4,6)",
        "model.strides=(2,2)",
        "augment.speed_probability=0.0",
    ),
    "*configs/distill.py:dual*": ("distill.inner=8", "distill.views=1"),
}
# The runs of a wake word: made as small, they share what was compiled.
RUNS = {
    "teachers": "configs/teacher.py",
    "student": "configs/distill.py:dual",
    "qat": "configs/qat.py",
}


def why_not(words):
    """The patterns of `NOT_RUN` that a command fits."""
    text = shlex.join(words)
    return [pattern for pattern in NOT_RUN if fnmatch.fnmatchcase(text, pattern)]


def recipe_of(words):
    """What `make` would run once everything is installed."""
    done = [f"--assume-old=.venv/{name}" for name in ("installed", "wakeword")]
    line = ["make", "--dry-run", "--no-print-directory", *done, *words[1:]]
    said = subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True)
    text = said.stdout.replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines()]


def changes(text):
    """The settings that make a run small."""
    return [
        change
        for pattern, changed in SMALLER.items()
        if fnmatch.fnmatchcase(text, pattern)
        for change in changed
    ]


def smaller(words):
    """The same command with sizes that take seconds."""
    verb = words[1]
    if "distill_jax.main" in words:
        added = [f"--config.{each}" for each in changes(shlex.join(words))]
        names = [each.partition("=")[0] for each in added]
        return [each for each in words if each.partition("=")[0] not in names] + added
    if verb == "cache-teachers":
        return [*words, *(f"--set={each}" for each in changes(words[2]))]
    if verb == "wakeword":
        kind = "" if "--teachers" in words else ",stand_in"
        sets = [
            f"--set={run}.{each}"
            for run, config in RUNS.items()
            for each in changes(config + kind)
        ]
        return [*words, "--clips=100", *sets]
    if verb == "speak":
        return [*words, "--n=60"]
    if verb in ("extract", "stats"):
        return [*words, "--layer=1"]
    if verb == "evaluate":  # After two steps everything is taken for the word.
        return [*words, "--per-hour=1e6"]
    # And no axis has a name.
    return [word.replace("brightness", "axis1") for word in words]


def run(words):
    """Runs a command in this process, in the current folder.

    Raises:
      AssertionError: it ends with another status than 0.
    """
    program, status = words[0].removeprefix(".venv/bin/"), None
    try:
        if program == "distill-jax":
            cli.main(words[1:])
        elif words[1:3] == ["-m", "distill_jax.main"]:
            train(words[3:])
        elif program == "python" and words[1] == "-m":
            module(words[2], words[3:])
        elif program == "python":
            module(str(ROOT / words[1]), words[2:])
        else:
            raise AssertionError(f"no test runs it, and NOT_RUN has no reason: {words}")
    except SystemExit as stop:
        status = stop.code
    assert not status, f"{shlex.join(words)}: status {status}"


def train(arguments):
    """What `python -m distill_jax.main` does."""
    sys.argv = ["main", *main.located(arguments)]
    try:
        main.main(flags.FLAGS(sys.argv))
    finally:
        # Those of the config come when it is read.
        for name in [name for name in flags.FLAGS if name.startswith("config.")]:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


def module(name, arguments):
    """Runs a module or a file as a program."""
    sys.argv = [name, *arguments]
    if name.endswith(".py"):
        runpy.run_path(name, run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def workdir(words):
    """Folder of the run that a command trains, None for others; and all else of it."""
    if "distill_jax.main" not in words and words[1:2] != ["wakeword"]:
        return None, words
    joined = [word for word in words if word.startswith("--workdir=")]
    if joined:
        return joined[0].partition("=")[2], [w for w in words if w != joined[0]]
    place = words.index("--workdir")
    return words[place + 1], words[:place] + words[place + 2 :]


class Reader:
    """Types a page in a folder, but what was typed before elsewhere.

    Two pages that train the same run share it.
    """

    def __init__(self):
        """Nothing was typed yet."""
        self._made = {}

    def type(self, words):
        """Runs a command, or copies the run that an equal one has made."""
        for command in recipe_of(words) if words[0] == "make" else [words]:
            command = smaller(command)
            target, rest = workdir(command)
            if target is None:
                run(command)
            elif (made := self._made.get(frozenset(rest))) is None:
                run(command)
                self._made[frozenset(rest)] = Path(target).absolute()
            elif not Path(target).exists():
                shutil.copytree(made, target)


def dry(text):
    """What a launcher prints instead of starting anything."""
    # What is not there: a name to be filled in, and SLURM.
    text = re.sub(r"^sbatch (--\S+ )*", "bash ", text.replace("IMAGE=…", "IMAGE=name"))
    given = {"cwd": ROOT, "env": os.environ | {"DRY_RUN": "1"}, "text": True}
    return subprocess.run(
        ["bash", "-c", text], check=True, capture_output=True, **given
    ).stdout


def answers(lines):
    """Types what is asked for; what is printed on the way goes to the errors."""
    spoken = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    reader = Reader()
    for asked in map(json.loads, lines):
        os.chdir(asked["home"])
        problem = ""
        for words in asked["commands"]:
            begun = time.process_time()
            print(f"$ {shlex.join(words)}", flush=True)
            try:
                reader.type(words)
                print(f"{time.process_time() - begun:.1f} s of a core", flush=True)
            except (Exception, SystemExit):  # Whatever it is, the next page is asked.
                problem = f"{shlex.join(words)}\n{traceback.format_exc()}"
                break
        print(json.dumps(problem), file=spoken, flush=True)


if __name__ == "__main__":
    answers(sys.stdin)
