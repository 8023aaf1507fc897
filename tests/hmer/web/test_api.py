"""The API through a real server process, and its bounds."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from hmer.decoding.bidirectional import DecodingConfig
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

pytestmark = pytest.mark.medium

STROKES: list[list[list[float]]] = [
    [[10, 30], [40, 0], [40, 150]],
    [[100, 80], [190, 80]],
    [[145, 35], [145, 125]],
    [[240, 30], [270, 0], [310, 5], [320, 45], [240, 150], [330, 145]],
]
INK = Ink(tuple(np.array(stroke, np.float32) for stroke in STROKES))
PATH = "/v1/recognize"
ROOT = Path(__file__).parents[3]


def picture() -> bytes:
    image = Image.new("L", (420, 240), 255)
    for stroke in STROKES:
        points = [(x + 40, y + 40) for x, y in stroke]
        ImageDraw.Draw(image).line(points, fill=0, width=8)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from hmer.cli import main; sys.argv[0] = 'hmer'; main()"
    words = ["serve", "--port", str(port), "--waiting", "3"]
    process = subprocess.Popen([sys.executable, "-c", code, *words])
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert process.poll() is None
            try:
                httpx.get(f"{address}/readyz", timeout=10).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def post(server: str, answer: int = 200, **request: Any) -> Any:
    found = httpx.post(server + PATH, timeout=120, **request)
    assert found.status_code == answer, found.text
    assert "default-src 'none'" in found.headers["content-security-policy"]
    return found.json()


def test_it_reads_what_the_library_reads(server: str) -> None:
    expected = Recognizer.load()(INK, DecodingConfig())
    found = post(server, json={"strokes": STROKES, "n_best": 3, "symbols": True})
    assert (found["latex"], found["compact"]) == (expected.latex, expected.compact)
    assert found["latex"] == "1 + 2" and found["mathml"] == expected.mathml
    assert found["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    assert [one["latex"] for one in found["n_best"]] == [o.latex for o in expected.n_best[:3]]
    assert [(s["token"], s["strokes"]) for s in found["symbols"]] == [
        ("1", [0]),
        ("+", [1, 2]),
        ("2", [3]),
    ]
    inkml = write_inkml(InkDocument(INK, ""))
    kind = {"content-type": "application/inkml+xml"}
    assert post(server, content=inkml, headers=kind)["latex"] == expected.latex
    assert post(server, json={"inkml": inkml.decode()})["latex"] == expected.latex


def test_pictures_and_batches(server: str) -> None:
    kind = {"content-type": "image/png"}
    alone = post(server, content=picture(), headers=kind, params={"symbols": "true"})
    assert alone["latex"] == "1 + 2" and len(alone["symbols"]) == 3
    image = base64.b64encode(picture()).decode()
    items = [{"image": image}, {"strokes": STROKES}, {"inkml": "<ink/>"}]
    results = post(server, json={"batch": items})["results"]
    assert [one.get("latex") for one in results] == ["1 + 2", "1 + 2", None]
    assert "no trace" in results[2]["error"]
    # What browsers and `base64` give; what cannot be decoded spoils its own place alone.
    lines = base64.encodebytes(picture()).decode()
    items = [{"image": f"data:image/png;base64,{lines}"}, {"image": "!"}, {}]
    results = post(server, json={"batch": items})["results"]
    assert results[0]["latex"] == "1 + 2" and "warning" not in results[0]
    assert "not base64" in results[1]["error"] and "give one of" in results[2]["error"]


def test_ink_far_from_the_origin_after_a_byte_order_mark(server: str) -> None:
    far = [[[x + 2e9, y - 1e8] for x, y in stroke] for stroke in STROKES]
    body = "\ufeff" + json.dumps({"strokes": far})
    found = post(server, content=body.encode(), headers={"content-type": "application/json"})
    assert found["latex"] == "1 + 2"


def test_several_expressions_are_told(server: str) -> None:
    below = [[[x, y + 1000] for x, y in stroke] for stroke in STROKES]
    assert "2 expressions" in post(server, json={"strokes": STROKES + below})["warning"]


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (422, {"json": {}}),
        (422, {"json": {"image": "not base64!"}}),
        (422, {"json": {"strokes": []}}),
        (422, {"json": {"strokes": [[[1e30, 0], [0, 0]]]}}),
        (422, {"json": {"strokes": [[["a", 0]]]}}),
        (422, {"json": {"strokes": STROKES, "inkml": "<ink/>"}}),
        (422, {"json": {"batch": []}}),
        (422, {"json": {"batch": [{"strokes": STROKES}], "strokes": STROKES}}),
        (422, {"json": {"batch": [{"strokes": STROKES}] * 33}}),
        (422, {"json": {"strokes": STROKES, "beam": 1000}}),
        (422, {"content": b"{", "headers": {"content-type": "application/json"}}),
        (422, {"content": b"no picture", "headers": {"content-type": "image/png"}}),
        (422, {"content": b"", "params": {"beam": 0}, "headers": {"content-type": "image/png"}}),
        (415, {"content": b"x", "headers": {"content-type": "text/plain"}}),
        (413, {"content": bytes(2**24 + 1), "headers": {"content-type": "image/png"}}),
    ],
)
def test_bad_requests_are_refused(server: str, status: int, request_: dict[str, Any]) -> None:
    assert post(server, status, **request_)["detail"]


def test_pages_of_elsewhere_are_refused(server: str) -> None:
    assert httpx.get(f"{server}/healthz", headers={"host": "evil.example"}).status_code == 400


def test_too_many_requests_are_refused_and_the_server_lives(server: str) -> None:
    batch = {"batch": [{"strokes": STROKES}] * 4}

    def ask(_: int) -> int:
        return httpx.post(server + PATH, json=batch, timeout=300).status_code

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert {*found} == {200, 429} and found.count(200) >= 3
    assert httpx.get(f"{server}/readyz").json() == {"waiting": 0}
    metrics = httpx.get(f"{server}/metrics").text
    assert f'hmer_answers_total{{status="429"}} {float(found.count(429))}' in metrics
    assert "hmer_requests 0.0" in metrics


def test_what_nobody_waits_for_is_not_read(server: str) -> None:
    """Clients that hang up while they wait, and in the middle of a batch."""
    host, port = server.removeprefix("http://").split(":")
    body = json.dumps({"batch": [{"strokes": STROKES}] * 32}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    before = httpx.get(f"{server}/metrics").text
    assert 'status="499"' not in before
    for _ in range(2):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.5)
    assert post(server, json={"strokes": STROKES})["latex"] == "1 + 2"
    assert httpx.get(f"{server}/readyz").json() == {"waiting": 0}
    after = httpx.get(f"{server}/metrics").text
    assert 'hmer_answers_total{status="499"} 2.0' in after


def test_the_calls_of_the_page_are_answered(server: str, tmp_path: Path) -> None:
    """The `curl` commands of the documentation."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "picture.png").write_bytes(picture())
    (tmp_path / "formula.inkml").write_bytes(write_inkml(InkDocument(INK, "")))
    page = (ROOT / "docs/recognise.md").read_text(encoding="utf-8")
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^curl .+$", page, re.M)]
    assert len(commands) == 6
    for program, *words in commands:
        where = [word.replace("localhost:8000", server) for word in words]
        done = subprocess.run(
            [program, "--fail", "--silent", *where], cwd=tmp_path, capture_output=True, check=True
        )
        if "v1" in where[-1] and "--data-binary" in where:
            assert json.loads(done.stdout)["latex"] == "1 + 2"


def test_the_description_is_whole(server: str) -> None:
    described = httpx.get(f"{server}/openapi.json").json()
    body = described["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    reference = body["schema"]["properties"]["batch"]["anyOf"][0]["items"]["$ref"]
    at = described
    for key in reference.removeprefix("#/").split("/"):
        at = at[key.replace("~1", "/")]
    assert at["title"] == "Item"
    assert httpx.get(f"{server}/docs").status_code == 404


def test_the_image_asks_for_what_is_there(server: str) -> None:
    """Docker is not needed for this: the paths that it copies, and its health check."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for name in line.split()
    ]
    assert "hmer" in copied and all((ROOT / name).exists() for name in copied)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert kept[0] == "*" and {name[1:] for name in kept if name[0] == "!"} == set(copied)
    _, code, script = json.loads(re.search(r"^    CMD (.+)$", text, re.M)[1])  # type: ignore[index]
    for port, ends in ((server.split(":")[2], 0), ("9", 1)):
        words = [sys.executable, code, script.replace("8000", port)]
        assert subprocess.run(words, capture_output=True, check=False).returncode == ends
    assert re.findall(r"^USER (.+)$", text, re.M) == ["hmer"]
