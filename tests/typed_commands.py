"""Commands as pages show them, read by what would run them; nothing is run.

`commands` takes a block of shell apart, `check` raises where a command has no such
program, file, target, verb, flag or setting.
"""

import ast
import copy
import functools
import importlib
import re
import shlex
import sys
from pathlib import Path

import tyro
from absl import flags
from ml_collections import config_flags

from distill_jax import cli, main, settings, wakeword
from distill_jax.cli.wakeword import planned
from distill_jax.wakeword import plan as plans

ROOT = Path(__file__).parents[1]
PROGRAMS = "make|python3?|sbatch|pip|pytest|pre-commit|distill-jax"
SETTING = re.compile(r"\w+=")


def commands(block):
    """The commands of a block, lists of words; variables are put in."""
    values, begun = {}, ""
    for line in block.replace("\\\n", " ").splitlines(keepends=True):
        try:
            words = shlex.split(begun + line, comments=True)
        except ValueError:  # A quotation goes on in the next line.
            begun += line
            continue
        begun, given = "", 0
        while given < len(words) and SETTING.match(words[given]):
            given += 1
        if words[given:]:
            yield [part for word in words[given:] for part in values.get(word, [word])]
        for word in words if not words[given:] else ():
            name, _, value = word.partition("=")
            values[f"${name}"] = value.split()
    assert not begun, f"a quotation does not end: {begun}"


def check(words):
    """Raises AssertionError or ValueError where a command cannot be typed."""
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    launcher = program.startswith("launch/")
    assert launcher or program in CHECKS, f"{program} is no command that is known here"
    try:
        _launch(words) if launcher else CHECKS[program](rest)
    except (SystemExit, flags.Error, OSError, AttributeError) as error:
        raise AssertionError(f"{shlex.join(words)}: {error}") from error


def check_span(text):
    """The same for code inside a line, where a command may be a part of one."""
    if "…" in text or not re.match(rf"--config|(\S*/)?({PROGRAMS}) ", text):
        return
    (words,) = commands(text)
    if words[0].startswith("--config="):
        _training([*words, "--workdir=runs/x"])
    elif words[0].startswith("--config.") and "=" not in words[0]:
        assert is_known(words[0].removeprefix("--config.")), text
    elif words[0].startswith("--config."):
        assert any(_fits(path, words) for path in _configs()), text
    elif len(words) == 2 and words[0].endswith("distill-jax"):
        assert words[1] in ("--version", *_verbs()), text
    else:
        check(words)


def is_known(name):
    """Whether a dotted name is a module, something in one, or a setting."""
    if found(f"distill_jax.{name}") is not None or found(name) is not None:
        return True
    configs = [settings.read(str(path)) for path in _configs()]
    names = {key for config in configs for key in _keys(config)}
    return name.removeprefix("config.") in names


def found(name):
    """The module of a dotted name, or what is in it; None where there is none."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(
            lambda thing, part: getattr(thing, part, None), parts[end:], thing
        )
    return None


def _make(words):
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w./-]+):", text, re.M))
    for word in words:
        name, equals, _ = word.partition("=")
        known = rf"\({name}\)" if equals else rf"^{re.escape(name)}:"
        assert re.search(known, text, re.M), f"{word}: expected some of {targets}"


def _python(words):
    if words[0] == "-m":
        module, rest = words[1], words[2:]
        if module == "venv":
            return None
        if module == "distill_jax.main":
            return _training(rest)
        assert module.startswith("benchmarks."), f"{module} is not known here"
        return _script(ROOT / f"{module.replace('.', '/')}.py", rest)
    return _script(ROOT / words[0], words[1:])


def _script(path, words):
    text = path.read_text()
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    unknown = [name for name in options if f'"{name}"' not in text]
    assert not unknown, f"{path.name} does not take {', '.join(unknown)}"


def _training(words):
    """Reads flags as the training command does."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", values)
    for flag in flags.FLAGS.get_flags_for_module(main.__name__):
        if flag.name != "config" and not flag.name.startswith("config."):
            values[flag.name] = copy.deepcopy(flag)
    flags.mark_flags_as_required(["config", "workdir"], values)
    before = sys.argv
    sys.argv = ["main", *main.located(words)]  # config flags look there themselves
    try:
        rest = values(sys.argv)
    finally:
        sys.argv = before
    assert rest == ["main"], f"unknown arguments {rest[1:]}"
    assert values.config.steps > 0


def _distill_jax(words):
    if words == ["--version"]:
        return
    options = tyro.cli(cli.Verb, prog="distill-jax", args=words)
    name = type(options).__name__
    if name == "CacheTeachers":
        settings.read(options.config, options.set)
    if name == "Wakeword":
        plan = planned(options)
        kinds = tuple(each for each in plan.teachers if each in wakeword.KINDS)
        plan = plan._replace(teachers=kinds)  # folders are not there
        for run in plans.runs(plan):
            plans.config(plan, run, 1.0)


def _pip(words):
    assert words[0] == "install", words
    known = extras()
    for word in words[1:]:
        named = re.fullmatch(r"(?:\.|distill_jax)(?:\[(.+)\])?", word)
        assert named or word == "--editable", f"{word} is not known here"
        wanted = set((named[1] or "").split(",")) - {""} if named else set()
        assert wanted <= known, f"{word}: the extras are {', '.join(sorted(known))}"


def extras():
    """The extras of the package, as setup.py names them."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (found,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "extras_require"
    ]
    return {key.value for key in found.keys}


def _launch(words):
    """A launcher, with what it hands on to the training command."""
    (script,) = [word for word in words if word.startswith("launch/")]
    assert (ROOT / script).is_file(), f"{script} is missing"
    handed = words[words.index(script) + 1 :]
    _training([word for word in handed if word.startswith("--")])


def _pytest(words):
    for word in words:
        assert word.startswith("-") or (ROOT / word).exists(), f"{word} is missing"


def _pre_commit(words):
    assert words == ["install"] and (ROOT / ".pre-commit-config.yaml").is_file()


def _verbs():
    return {each.__metadata__[0].name for each in cli.Verb.__args__}


def _configs():
    return sorted((ROOT / "configs").glob("*.py"))


def _keys(config, before=""):
    for key, value in config.items():
        yield before + key
        if hasattr(value, "items"):
            yield from _keys(value, f"{before}{key}.")


def _fits(path, words):
    try:
        _training([f"--config={path}", "--workdir=runs/x", *words])
    except (AttributeError, KeyError, TypeError, flags.Error):
        return False
    return True


CHECKS = {
    "distill-jax": _distill_jax,
    "make": _make,
    "pip": _pip,
    "pre-commit": _pre_commit,
    "pytest": _pytest,
    "python": _python,
    "python3": _python,
    "sbatch": _launch,
}
