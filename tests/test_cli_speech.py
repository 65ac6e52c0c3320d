import sys

import pytest

from distill_jax import cli


def run(*arguments):
    cli.main(["speak", *map(str, arguments)])


def test_verb_speaks_goes_on_and_refuses_other_settings(tmp_path, capsys):
    lines = tmp_path / "lines.txt"
    lines.write_text("hello there\n\nhey jarvis\nthank you\n")
    out = tmp_path / "out"
    command = ["Hey  Jarvis", "--out", out, "--negatives", lines, "--format", "flac"]
    run(*command, "--n", 4)
    said = capsys.readouterr().out
    assert "left out, for the phrase is heard in them: 'hey jarvis'" in said
    assert "hey_jarvis: 4 clips" in said and "near_miss: 2 clips" in said
    assert len(list(out.glob("*/*.flac"))) == 10
    run(*command, "--n", 6)
    assert "10 of 15 clips are done already" in capsys.readouterr().out
    assert len(list(out.glob("hey_jarvis/*.flac"))) == 6
    for change, told in (
        (("--seed", 1), "seed: 0 there, 1 now"),
        (("--n", 5), "hey_jarvis: 6 there, 5 asked for"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(*command, *(change if change[0] == "--n" else ("--n", 6, *change)))
        assert stop.value.code == 2 and told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["..."], "expected words to say"),
        (["hey", "--n", "0"], "--n is 0"),
        (["hey", "--label", "unknown"], "--label is 'unknown'"),
        (["hey", "--label", "../x"], "--label is '../x'"),
        (["hallo", "--language", "de"], "--negatives FILE"),
        (["hey", "--negatives", "missing.txt"], "missing.txt"),
    ],
)
def test_verb_refuses_what_cannot_be_meant(arguments, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*arguments, "--out", tmp_path / "out")
    assert stop.value.code == 2 and told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_extra_is_told_with_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SystemExit) as stop:
        run("hey jarvis", "--out", tmp_path / "out")
    assert stop.value.code == 2
    assert 'pip install "distill_jax[tts]"' in capsys.readouterr().err
