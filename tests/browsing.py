"""A page of the app in a browser, and what people do there."""

import contextlib
import os
import time
from pathlib import Path

# Set to a folder to keep a picture of every tab.
PICTURES = os.environ.get("APP_PICTURES")
CLICK_SECONDS = 60


class Page:
    """A browser that waits for what it is told to use."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def until(self, found, seconds=CLICK_SECONDS):
        """What `found` gives once it is something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # Gradio draws anew while one looks.
            with contextlib.suppress(Exception):
                if value := found():
                    return value
            time.sleep(0.2)
        raise AssertionError(f"nothing came in {seconds} s; the page is: {self.text()}")

    def text(self, css="body"):
        return " ".join(each.text for each in self.all(css))

    def one(self, css):
        return self.until(lambda: self.all(css)[0])

    def says(self, text, css="body", seconds=CLICK_SECONDS):
        self.until(lambda: text in self.text(css), seconds)

    def click(self, css):
        self.until(lambda: (self.all(css)[0].click(), True))

    def tab(self, name):
        tabs = "button[role=tab]"
        self.until(
            lambda: [each.click() for each in self.all(tabs) if each.text == name]
        )
        self.until(
            lambda: [
                each
                for each in self.all(f"{tabs}[aria-selected=true]")
                if each.text == name
            ]
        )

    def write(self, css, text):
        self.one(css).send_keys(text)

    def choose(self, css, name):
        """Takes a name from a list."""
        options = f"{css} ul[role=listbox] li, ul[role=listbox] li"
        self.click(f"{css} input")
        self.until(
            lambda: [
                (each.click(), True)
                for each in self.all(options)
                if each.text.strip().endswith(name)
            ]
        )

    def upload(self, css, *paths):
        field = f"{css} input[type=file]"
        self.until(
            lambda: (self.all(field)[0].send_keys("\n".join(map(str, paths))), True)
        )

    def refused(self, text):
        """Waits for a message, which is no traceback, and closes it."""
        self.says(text, ".toast-body, .toast-wrap")
        assert "Traceback" not in self.text() and 'File "' not in self.text()
        for each in self.all(".toast-close"):
            each.click()
        self.until(lambda: not self.all(".toast-body"))

    def picture(self, name):
        """Keeps one, where that is asked for."""
        if PICTURES:
            self.driver.execute_script("window.scrollTo(0, 0)")
            time.sleep(1)
            self.driver.save_screenshot(str(Path(PICTURES) / f"{name}.png"))
