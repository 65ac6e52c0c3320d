import io
import logging

from distill_jax import progress


def test_bars_are_seen_by_one_of_several_processes(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    try:
        for shown in (True, False):
            progress.show(shown)
            with progress.bar(range(3), "counting") as bar:
                assert list(bar) == [0, 1, 2]
            assert ("counting" in said.getvalue()) == shown
            said.truncate(0)
    finally:
        progress.show(True)


def test_what_is_logged_is_shown_for_a_while(capsys):
    log = logging.getLogger("distill_jax.any")
    with progress.told():
        log.info("of interest")
    log.info("not any more")
    assert capsys.readouterr().err == "of interest\n"
