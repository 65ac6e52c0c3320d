"""Nothing outside of the work directory is read, written or served."""

import pytest

from distill_jax.app import places


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "run" / "report").mkdir(parents=True)
    (root / "run" / "report" / "index.html").write_text("page")
    (root / ".app").mkdir()
    (root / ".app" / "x.wav").write_text("hidden")
    (tmp_path / "secret.html").write_text("secret")
    (root / "leak.html").symlink_to(tmp_path / "secret.html")
    (root / "out").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    "text",
    ["../secret.html", "/etc/passwd", "leak.html", "out/secret.html", "run/../.."],
)
def test_a_path_that_leads_out_is_refused(root, text):
    with pytest.raises(places.OutsideError, match="outside the work directory"):
        places.inside(root, text)
    assert places.served(root, text) is None


def test_a_path_inside_is_found_whether_relative_or_not(root):
    page = root / "run" / "report" / "index.html"
    assert places.inside(root, "run/report/index.html") == page.resolve()
    assert places.inside(root, page) == page.resolve()
    assert places.served(root, "run/report/index.html") == page.resolve()
    assert places.shown(root, page) == "run/report/index.html"


@pytest.mark.parametrize("text", ["", " ", "a\0b", "x" * 5000])
def test_what_is_no_path_is_refused(root, text):
    with pytest.raises(ValueError):
        places.inside(root, text)


def test_hidden_files_folders_and_other_kinds_are_not_served(root):
    (root / "key.pem").write_text("key")
    for text in (
        ".app/x.wav",
        "key.pem",
        "run",
        "run/nothing.html",
        "run/.././.app/x.wav",
    ):
        assert places.served(root, text) is None


def test_recordings_with_a_link_that_leads_out_are_refused(root, tmp_path):
    data = root / "words"
    (data / "high").mkdir(parents=True)
    assert places.recordings(root, "words") == data.resolve()
    (data / "high" / "inside.wav").symlink_to(root / "run")
    assert places.recordings(root, "words") == data.resolve()
    (data / "high" / "x.wav").symlink_to(tmp_path / "secret.html")
    with pytest.raises(places.OutsideError):
        places.recordings(root, "words")
    with pytest.raises(ValueError, match="does not exist"):
        places.recordings(root, "nothing")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "uploads", "out"])
def test_a_run_has_a_plain_name(root, name):
    with pytest.raises(ValueError):
        places.named(root, name)


def test_folders_are_found_but_not_through_links(root):
    found = places.folders(root, lambda folder: True)
    assert found == ["run", "run/report"]
