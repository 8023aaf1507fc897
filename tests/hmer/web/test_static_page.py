"""The page without a server: it reads in the browser what the library reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer
from hmer.synthesis.glyphs import signs
from hmer.web import static_page
from hmer.web.static_page import write_static_page
from tests.hmer.web.browser import Browser, opened

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("static") / "page"
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    try:
        write_static_page(out)
    except HmerError as error:
        if "npm cannot fetch" in str(error):
            pytest.skip(str(error))
        raise
    return out


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def browser(folder: Path, commands: str) -> Iterator[Browser]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with opened(f"http://127.0.0.1:{server.server_address[1]}/", commands) as found:
            found.until("document.querySelector('#status').textContent.startsWith('Ready')", 120)
            yield found
        server.shutdown()


READ = """new Promise((done) => {
  window.reader ??= new Worker("static/worker.js", { type: "module" });
  reader.onmessage = ({ data }) => { if (data.number) done(data.found ?? data.error); };
  reader.postMessage({ number: NUMBER, strokes: STROKES, beam: 10 });
})"""


def written(ink: Ink) -> list[list[list[float]]]:
    """Strokes as a page has them."""
    return [[[round(float(x), 2), round(float(y), 2)] for x, y in stroke] for stroke in ink.strokes]


CLOSE = 5e-3
"""Between confidences: one of a hundred inks differs, by 0.0024; all readings are the same."""


def compare(browser: Browser, inks: list[Ink]) -> None:
    recognizer = Recognizer.load(backend="onnx")
    for number, ink in enumerate(inks, 1):
        strokes = written(ink)
        expected = recognizer(Ink(tuple(np.array(stroke, np.float32) for stroke in strokes)))
        script = READ.replace("STROKES", json.dumps(strokes)).replace("NUMBER", str(number))
        found = browser.run(script)
        assert found["latex"] == expected.latex
        assert found["confidence"] == pytest.approx(expected.confidence, abs=CLOSE)
        others = {one["latex"]: one["confidence"] for one in found["n_best"]}
        for one in expected.n_best[:3]:
            assert others[one.latex] == pytest.approx(one.confidence, abs=CLOSE)


def made(count: int) -> list[Ink]:
    """Ink of synthetic expressions."""
    source = Synthetic(train=count, val=0, test=0)
    return [ink for task in source.items(0) if (ink := task().ink) is not None]


def glyph(token: str) -> Ink:
    """A symbol in the vector font, or of the signs beside it."""
    return Ink(tuple(stroke.astype(np.float32) for stroke in signs.written(token)[0]))


def test_the_browser_reads_what_the_library_reads(browser: Browser) -> None:
    bar = Ink((np.array([[0, 0], [0.2, 10], [0.5, 20]], np.float32),))
    dot = Ink((np.array([[0, 0], [0.3, 0], [0.3, 0.2]], np.float32),))
    symbols = [glyph(token) for token in ("\\chi", "\\subset", "x", "R")]
    compare(browser, [bar, dot, *symbols, *made(6)])
    assert not browser.problems


@pytest.mark.slow
def test_the_browser_reads_a_hundred_inks_as_the_library_does(browser: Browser) -> None:
    compare(browser, made(100))


def test_what_is_written_on_the_page_is_read_there(browser: Browser) -> None:
    browser.run(
        """(() => {
          const paper = document.querySelector("#paper"), box = paper.getBoundingClientRect();
          const send = (kind, [x, y]) => paper.dispatchEvent(new PointerEvent(kind, {
            pointerId: 1, clientX: box.left + x, clientY: box.top + y, bubbles: true }));
          paper.setPointerCapture = () => {};
          for (const stroke of [[[60, 60], [90, 40], [90, 150]], [[120, 95], [180, 95]],
              [[150, 65], [150, 125]],
              [[210, 70], [225, 45], [255, 50], [260, 80], [210, 148], [270, 145]]]) {
            send("pointerdown", stroke[0]);
            stroke.slice(1).forEach((point) => send("pointermove", point));
            send("pointerup", stroke.at(-1));
          }
        })()"""
    )
    assert browser.until("document.querySelector('#latex').value") == "1+2"
    assert browser.run("document.querySelectorAll('#typeset .katex').length") == 1
    assert browser.run("document.querySelector('label.button').hidden")
    assert not browser.problems


def test_it_needs_no_other_files(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page and "http://" not in page
    names = {path.name for path in (folder / "static/onnxruntime").iterdir()}
    assert names == set(static_page._RUNTIME_FILES)


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    with pytest.raises(HmerError, match="holds other files"):
        write_static_page(tmp_path)


@pytest.mark.parametrize(("npm", "message"), [(None, "npm is missing"), ("false", "cannot fetch")])
def test_without_npm_nothing_is_written(
    npm: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = None if npm is None else shutil.which(npm)
    monkeypatch.setattr("hmer.web.static_page.shutil.which", lambda _: found)
    with pytest.raises(HmerError, match=message):
        write_static_page(tmp_path / "page")
    assert not (tmp_path / "page").exists()
