"""The app in a real browser, as people meet it."""

import contextlib
import http.client
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import urllib.parse
import zipfile

import pytest
import tiny_words
from browsing import Page

CHROMIUM, DRIVER = "chromium", "chromedriver"
PACKAGES = "selenium", "gradio", "ai_edge_litert", "onnx"
MISSING = [
    *(name for name in PACKAGES if importlib.util.find_spec(name) is None),
    *(name for name in (CHROMIUM, DRIVER) if shutil.which(name) is None),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
]
ARROW_LEFT = "\ue012"  # As WebDriver has it.
TABS = ["Wake word", "Listen", "Sound", "Checkpoints", "Runs"]
QUICK = (
    *("student.steps=8", "student.batch=8", "student.log_every=2"),
    *("student.model.channels=(4,6)", "student.model.strides=(2,2)"),
    *("qat.steps=2", "qat.batch=8", "qat.log_every=1"),
)
START_SECONDS, JOB_SECONDS = 120, 400


@pytest.fixture(scope="module")
def root(tmp_path_factory, trained_vae):
    root = tmp_path_factory.mktemp("root")
    tiny_words.recordings(root / "words", 12)
    shutil.copytree(trained_vae, root / "tiny_vae")
    (root.parent / "secret.html").write_text("secret")
    (root / "leak.html").symlink_to(root.parent / "secret.html")
    return root


@pytest.fixture(scope="module")
def url(root, one_device):
    """The address of an app; on its end the process has to go away by itself."""
    call = "from distill_jax import cli; cli.main()"
    arguments = ["--workdir", str(root), "--port", "0", "--upload-mb", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", call, "app", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**one_device, "XDG_CACHE_HOME": str(root.parent / "cache")},
    )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), address
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(START_SECONDS) in (0, -signal.SIGINT, 130)
    finally:
        process.kill()
        process.stdout.close()


@pytest.fixture(scope="module")
def page(url):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM)
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--disable-gpu")
    options.add_argument("--window-size=1280,1100")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which(DRIVER)))
    try:
        driver.get(url)
        yield Page(driver, url)
    finally:
        driver.quit()


def status(url, path, **headers):
    """Of a request whose path nobody tidies up."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")


def test_every_tab_opens_and_nothing_is_fetched_from_elsewhere(page):
    for name in TABS:
        page.tab(name)
        assert [each.text for each in page.all("button[role=tab]")] == TABS
    page.says("tiny_vae", "#runs")
    asked = [
        json.loads(line["message"])["message"].get("params", {}).get("request", {})
        for line in page.driver.get_log("performance")
    ]
    urls = {each["url"] for each in asked if "url" in each}
    assert any(each.startswith(page.url) for each in urls)
    own = (page.url, "data:", "blob:", "chrome")
    assert [each for each in urls if not each.startswith(own)] == []


def test_files_outside_of_the_work_directory_are_not_given(url, root):
    secret = root.parent / "secret.html"
    for path in (
        f"/gradio_api/file={secret}",
        f"/file={secret}",
        f"/gradio_api/file={root}/words/high/0.wav",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://localhost:1/x",
        "/files/leak.html",
        "/files/../secret.html",
        "/files/%2e%2e/secret.html",
        f"/files/{secret}",
        "/files//etc/passwd",
        "/files/tiny_vae/../../secret.html",
    ):
        number, text = status(url, path)
        assert number in (403, 404), path
        assert "secret" not in text and "root:" not in text
    assert status(url, "/files/words/high/0.wav")[0] == 200
    assert status(url, "/", Host="evil.example")[0] == 421
    assert status(url, "/", Origin="http://evil.example")[0] == 403


def test_hostile_uploads_are_refused_with_a_message(page, tmp_path, root):
    page.tab("Sound")
    text = tmp_path / "text.wav"
    text.write_text("this is not a sound")
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("../../evil.wav", b"evil")
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(3_000_000))
    page.click("#sound-train button.label-wrap")
    for path, message in (
        (text, "text.wav: cannot be decoded"),
        (hostile, "leads out of the archive"),
    ):
        page.upload("#sound-upload", path)
        page.says(path.name.split(".")[0], "#sound-upload")
        page.click("#sound-start")
        page.refused(message)
        page.click("#sound-upload button[aria-label='Clear']")
        page.until(lambda: not page.all("#sound-upload button[aria-label='Clear']"))
    page.upload("#sound-upload", large)
    page.refused("exceed the maximum allowed size")
    assert not list(root.rglob("evil.wav")) and not (root.parent / "evil.wav").exists()
    assert not [each for each in (root / "uploads").iterdir() if each.is_dir()]


def test_a_sound_is_generated_and_can_be_downloaded(page, url):
    page.tab("Sound")
    page.choose("#sound-run", "tiny_vae")
    page.says("no axis is known yet")
    page.click("#sound-generate")
    page.until(lambda: page.all("#sound-picture img"), JOB_SECONDS)
    page.click("#sound-save")
    page.says("Download tiny_vae/made/sound_001.wav", "#sound-saved")
    page.picture("sound")
    assert status(url, "/files/tiny_vae/made/sound_001.wav")[0] == 200


@pytest.mark.long
def test_a_wake_word_is_made_stopped_and_listened_with(page, url, root):
    page.tab("Wake word")
    page.click("#word-start")
    page.refused("expected one to say")
    page.write("#word textarea", "High!")
    page.until(
        lambda: [
            (each.click(), True)
            for each in page.all("#source label")
            if "folder" in each.text
        ]
    )
    page.choose("#word-folder", "words")
    for part in ("teachers", "training"):
        page.click(f"#word-{part} button.label-wrap")
    page.until(lambda: len(page.all("#teachers input:checked")) == 2)
    for each in page.all("#teachers input:checked"):
        each.click()
    page.write("#changes textarea", "\n".join(QUICK))
    page.picture("form")
    page.click("#word-start")
    page.says("part 1 of 5", "#progress")
    page.click("#stop")
    page.says("stopped; what was done is saved", "#progress", JOB_SECONDS)
    assert (root / "high" / "settings.json").is_file()
    page.click("#word-resume")
    page.says("part 1 of 5", "#progress")
    page.click("#word-start")
    page.refused("only one job runs at a time")
    page.says(": done", "#progress", JOB_SECONDS)
    page.says("Made.", "#word-curves")
    page.says("student: accuracy", "#word-curves")
    page.picture("word")
    assert "Wake word “High!”" in status(url, "/files/high/index.html")[1]
    listened(page, root)
    page.tab("Runs")
    page.says("high/qat", "#runs")
    page.choose("#runs-chosen", "high/student")
    page.until(lambda: page.all("#runs-curves svg"))
    page.picture("runs")


def listened(page, root):
    page.tab("Listen")
    page.choose("#listen-run", "high/files/student.tflite")
    page.says("on the test recordings", "#operation")
    page.says("0 dB", "#operation")
    page.click("#listen-sound button[aria-label='Upload file']")
    page.upload("#listen-sound", root / "words" / "high" / "0.wav")
    page.until(lambda: not page.all("#listen-sound input[type=file]"))
    page.click("#listen-go")
    page.until(lambda: page.all("#timeline svg"), JOB_SECONDS)
    page.says("high/student", "#timeline")
    before = page.text("#operation")
    slider = page.one("#threshold input[type=range]")
    slider.send_keys(*[ARROW_LEFT] * 30)
    page.until(lambda: page.text("#operation") != before)
    page.picture("listen")
