"""The page of `hmer demo`: its files, and driven in headless Chromium where that is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hmer.errors import HmerError
from hmer.ink.inkml import read_inkml
from hmer.recognizer import Recognizer
from hmer.web.api import create_app, listen
from hmer.web.page import LARGEST, STATIC, add_page
from hmer.web.static_page import npm_package
from tests.hmer.web.browser import Browser, opened, started

LINE = [[[10, 10], [60, 90]]]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


@pytest.fixture
def client(recognizer: Recognizer, tmp_path: Path) -> TestClient:
    app = create_app(recognizer, hosts=("*",))
    add_page(app, tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    return TestClient(app)


def test_all_that_the_page_names_is_served_and_comes_from_here(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page.text)
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert name == "data:," or client.get(f"/{name}").status_code == 200, name
    assert "http" not in (STATIC / "app.js").read_text()
    style = (STATIC / "katex/katex.min.css").read_text()
    fonts = {name.split("/")[-1] for name in re.findall(r"url\(([^)]+)\)", style)}
    assert fonts == {path.name for path in (STATIC / "katex/fonts").iterdir()}


@pytest.mark.parametrize(
    "path", ["/static/../api.py", "/static/%2e%2e/api.py", "/static//etc/passwd", "/static/none"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 405)


def test_ink_is_kept_with_its_latex(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/v1/keep", json={"strokes": LINE, "latex": r"\frac{1}{2}"})
    assert answer.status_code == 200
    (file,) = (tmp_path / "kept").iterdir()
    assert answer.json() == {"file": file.name}
    found = read_inkml(file.read_bytes(), file.name)
    assert found.latex == r"\frac{1}{2}"
    assert [stroke.tolist() for stroke in found.ink.strokes] == LINE
    again = client.post(
        "/v1/keep",
        content=json.dumps({"strokes": LINE, "latex": r"\frac{1}{2}"}),
        headers={"content-type": "application/json; charset=utf-8"},
    )
    assert again.json() == answer.json() and len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize(
    ("pair", "status"),
    [
        ({"strokes": LINE, "latex": r"\frac{1"}, 422),
        ({"strokes": LINE, "latex": " "}, 422),
        ({"strokes": LINE, "latex": "x\ufffe"}, 422),
        ({"strokes": [], "latex": "x"}, 422),
        ({"strokes": [[[0, 0], [1, 1e30]]], "latex": "x"}, 422),
        ({"latex": "x"}, 422),
        ({"strokes": LINE, "latex": "x" * LARGEST}, 413),
    ],
)
def test_what_is_not_kept(
    client: TestClient, tmp_path: Path, pair: dict[str, Any], status: int
) -> None:
    assert client.post("/v1/keep", json=pair).status_code == status
    assert not list((tmp_path / "kept").iterdir())


def test_a_page_of_elsewhere_keeps_nothing(client: TestClient, tmp_path: Path) -> None:
    pair = json.dumps({"strokes": LINE, "latex": "x"})
    answer = client.post("/v1/keep", content=pair, headers={"content-type": "text/plain"})
    assert answer.status_code == 415 and not list((tmp_path / "kept").iterdir())


def test_a_port_in_use_is_named() -> None:
    taken, address = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with taken, pytest.raises(HmerError, match=f"port {port} .*choose another"):
        listen("127.0.0.1", port)
    assert address == f"http://127.0.0.1:{port}/"


def test_nothing_is_kept_unless_asked_for(recognizer: Recognizer) -> None:
    app = create_app(recognizer, hosts=("*",))
    add_page(app)
    client = TestClient(app)
    assert client.get("/v1/page").json() == {"keeps": False}
    assert client.post("/v1/keep", json={"strokes": LINE, "latex": "x"}).status_code == 404


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = "from hmer.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "demo", "--port", "0", "--no-browser",
         "--save", str(tmp_path_factory.mktemp("kept"))],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield started(process, "write at").split()[2]
        process.terminate()


@pytest.fixture
def browser(address: str, commands: str) -> Iterator[Browser]:
    with opened(address, commands) as found:
        found.until("typeof katex === 'object' && !document.querySelector('#keep').hidden")
        yield found


PLUS = [
    [(60, 60), (90, 40), (90, 150)],  # 1
    *([(120, 95), (180, 95)], [(150, 65), (150, 125)]),  # +
    [(210, 70), (225, 45), (255, 50), (260, 80), (210, 148), (270, 145)],  # 2
]


def write(browser: Browser, strokes: list[list[tuple[int, int]]]) -> None:
    left, top = browser.run(
        "(() => { const b = document.querySelector('#paper').getBoundingClientRect();"
        " return [b.left, b.top]; })()"
    )
    for stroke in strokes:
        points = [(left + x, top + y) for x, y in stroke]
        browser.mouse("mousePressed", *points[0])
        for (x0, y0), (x1, y1) in pairwise(points):
            for step in range(1, 9):
                browser.mouse("mouseMoved", x0 + (x1 - x0) * step / 8, y0 + (y1 - y0) * step / 8)
        browser.mouse("mouseReleased", *points[-1])


LATEX = "document.querySelector('#latex').value"
TOKENS = "[...document.querySelectorAll('#tokens button')]"


@pytest.mark.medium
def test_what_is_written_is_read_and_each_symbol_finds_its_strokes(browser: Browser) -> None:
    write(browser, PLUS)
    assert browser.until(LATEX) == "1 + 2"
    assert browser.run("document.querySelectorAll('#typeset .katex').length") == 1
    assert browser.run(f"{TOKENS}.map((one) => one.textContent)") == ["1", "+", "2"]
    browser.run(f"{TOKENS}[1].focus()")
    assert browser.run(f"{TOKENS}.map((one) => one.className)") == ["", "lit", ""]
    browser.run("document.querySelector('#undo').click()")
    browser.until(f"{LATEX} && {LATEX} !== '1 + 2'")
    browser.run("document.querySelector('#redo').click()")
    assert browser.until(f"{LATEX} === '1 + 2'")
    browser.run("document.querySelector('#keep').click()")
    assert browser.until("document.querySelector('#status').textContent.startsWith('Kept as ')")
    browser.run("document.querySelector('#clear').click()")
    assert browser.run(LATEX) == ""
    assert not browser.problems


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core, which checks a page against the Web Content Accessibility Guidelines."""
    try:
        packed = npm_package("axe-core@4.10.3", tmp_path_factory.mktemp("axe"))
    except HmerError as error:
        pytest.skip(str(error))
    with tarfile.open(packed) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.mark.medium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Browser, axe: str, scheme: str) -> None:
    browser.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    write(browser, PLUS)
    browser.until(LATEX)
    browser.run(axe)
    found = browser.run(
        "axe.run().then((found) => [found.passes.length, found.violations.map("
        "(one) => [one.id, one.help, one.nodes.map((node) => node.html.slice(0, 200))])])"
    )
    assert found[0] > 20
    assert found[1] == []


@pytest.mark.medium
def test_strokes_are_erased_by_hand_and_by_key(browser: Browser) -> None:
    write(browser, PLUS)
    assert browser.until(LATEX) == "1 + 2"
    browser.run("document.querySelector('#erase').click()")
    write(browser, [[(165, 70), (165, 120)]])  # across the bar of the plus, between its points
    browser.run("document.querySelector('#erase').click()")
    write(browser, [[(120, 95), (180, 95)]])
    browser.until(f"{TOKENS}.length === 3")
    # The bar was written last and is the second symbol's still.
    browser.run(f"{TOKENS}[1].focus()")
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Delete", code="Delete")
    browser.until(f"{TOKENS}.length === 2")
    assert browser.run(LATEX) in ("12", "1 2")
    assert not browser.problems


@pytest.mark.medium
def test_the_copied_picture_is_the_ink(browser: Browser) -> None:
    """As the recogniser reads it; dark on white on a dark page, too."""
    browser.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    write(browser, PLUS)
    assert browser.until(LATEX) == "1 + 2"
    browser.run(
        "navigator.clipboard.write = async ([one]) => { window.copied = await"
        " one.getType('image/png'); }; document.querySelector('#copy-picture').click()"
    )
    browser.until("Boolean(window.copied)")
    read = """fetch("v1/recognize", {
      method: "POST", body: window.copied, headers: { "Content-Type": "image/png" },
    }).then((one) => one.json()).then((one) => one.compact)"""
    assert browser.run(read) == "1 + 2"
    corner = """createImageBitmap(window.copied).then((one) => {
      const pen = new OffscreenCanvas(1, 1).getContext('2d');
      pen.drawImage(one, 0, 0);
      return [...pen.getImageData(0, 0, 1, 1).data];
    })"""
    assert browser.run(corner) == [255] * 4
    assert not browser.problems


@pytest.mark.medium
def test_a_dropped_picture_is_read(browser: Browser) -> None:
    browser.run(
        """(async () => {
          const paper = new OffscreenCanvas(400, 200), pen = paper.getContext("2d");
          pen.fillStyle = "white"; pen.fillRect(0, 0, 400, 200); pen.lineWidth = 5;
          for (const stroke of STROKES) {
            pen.beginPath(); pen.moveTo(...stroke[0]);
            for (const point of stroke) pen.lineTo(...point);
            pen.stroke();
          }
          const data = new DataTransfer();
          data.items.add(new File([await paper.convertToBlob()], "a.png", { type: "image/png" }));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
        })()""".replace("STROKES", json.dumps(PLUS))
    )
    assert browser.until(LATEX) == "1 + 2"
    assert not browser.problems
