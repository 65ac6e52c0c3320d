"""What the README and the guides tell people to type works, in the order of a page."""

import json
import re
import shlex
import subprocess
import sys

import guide_inputs
import guided
import pytest
import typed_commands
from test_docs import PAGES, blocks, page_name, rows_of, spans

TYPED = {
    page: [
        words
        for block in blocks(page, "sh")
        for words in typed_commands.commands(block)
    ]
    for page in PAGES
}
RUN = {
    page: [words for words in commands if not guided.why_not(words)]
    for page, commands in TYPED.items()
}
LAUNCH = guided.ROOT / "launch" / "README.md"


def test_what_is_not_run_has_one_reason_and_every_reason_a_command():
    used = set()
    for commands in TYPED.values():
        for words in commands:
            reasons = guided.why_not(words)
            assert len(reasons) <= 1, shlex.join(words)
            used |= set(reasons)
    assert used == set(guided.NOT_RUN)


LAUNCHERS = [
    text for text in spans(LAUNCH) if re.search(r"launch/\S+ .*--config=", text)
]


@pytest.mark.parametrize("text", LAUNCHERS)
def test_launchers_can_be_typed(text):
    assert "--config=configs/vae.py" in guided.dry(text).replace("\\", "")


def test_every_launcher_of_the_page_is_typed():
    named = set(re.findall(r"launch/\w+\.(?:sh|sbatch)", LAUNCH.read_text()))
    assert named == {re.search(r"launch/[\w.]+", text)[0] for text in LAUNCHERS}


def promised(page):
    """What a page says is there once it was typed."""
    named = set(re.findall(r"\bruns/[a-z][\w./]+", "\n".join(spans(page))))
    if page.name == "quick_start.md":
        rows = rows_of(page.name, "## Where things are")
        named |= {row[0].strip(" `").replace("NAME", "vae") for row in rows[:2]}
    if page.name == "wake_word_guide.md":
        for row in rows_of(page.name, "## In one command"):
            folders = re.findall(r"`([\w./]+)`", row[0])
            named |= {f"runs/jarvis/{name}" for name in folders}
    return named


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What readers have."""
    folder = tmp_path_factory.mktemp("given")
    guide_inputs.inputs(folder)
    return folder


@pytest.fixture(scope="module")
def typist(one_device, tmp_path_factory):
    """Types lists of commands in a folder; asserts that all of them work."""
    folder = tmp_path_factory.mktemp("typist")
    environment = one_device | {"XDG_CACHE_HOME": str(folder / "cache")}
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, guided.__file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):

        def typed(home, commands):
            asked = {"home": str(home), "commands": commands}
            print(json.dumps(asked), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, f"it ended: {log.read_text()[-2000:]}"
            problem = json.loads(answer)
            assert not problem, f"{log.read_text()[-2000:]}\n{problem}"

        yield typed
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=page_name)
def test_page_can_be_typed(page, given, tmp_path, typist):
    for each in given.iterdir():
        (tmp_path / each.name).symlink_to(each)
    typist(tmp_path, RUN[page])
    missing = [name for name in promised(page) if not (tmp_path / name).exists()]
    assert not missing
