"""A tab of headless Chromium, where that is installed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Browser:
    """A tab of headless Chromium by the DevTools protocol."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.numbers = count(1)
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.connection.recv(timeout=240))
            if message.get("id") == number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(message["params"])[:500])

    def run(self, script: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 240) -> Any:
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, script
            time.sleep(0.1)
        return found

    def mouse(self, kind: str, x: float, y: float) -> None:
        held = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def picture(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


def started(process: subprocess.Popen[str], wanted: str) -> str:
    """What a process says on standard error, up to the line that has `wanted`."""
    assert process.stderr is not None
    for line in process.stderr:
        if wanted in line:
            return line
    raise AssertionError(f"it ended without {wanted!r}")


@contextmanager
def chromium() -> Iterator[str]:
    """A browser, and the address at which it takes commands."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
        with subprocess.Popen(
            [CHROMIUM, *options, f"--user-data-dir={profile}", "--window-size=900,1000"],
            stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                place = started(process, "DevTools listening on").split()[-1]
                yield f"http://{urlsplit(place).netloc}"
            finally:
                process.kill()


@contextmanager
def opened(address: str, commands: str) -> Iterator[Browser]:
    """A new tab of the browser, which shows a page."""
    request = urllib.request.Request(f"{commands}/json/new?{address}", method="PUT")
    with urllib.request.urlopen(request) as answer:
        tab: dict[str, str] = json.load(answer)
    with connect(tab["webSocketDebuggerUrl"], max_size=None) as connection:
        browser = Browser(connection)
        # A tab is there before its page.
        browser.until("location.href !== 'about:blank' && document.readyState === 'complete'")
        yield browser
    urllib.request.urlopen(f"{commands}/json/close/{tab['id']}").close()
