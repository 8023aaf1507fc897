"""Load on `hmer serve`: requests a second, latency, memory, overload, clients that hang up.

    python -m benchmarks.serving [--seconds 60] [--clients 2] [--workers 1] [--json]

Starts a server of its own and writes to it synthetic ink, beam 10. Three parts of the time each:
as many clients as given, each asking as soon as it is answered; four times as many as the server
lets wait (what is refused must be refused at once, with 429); and as many with every second one
hanging up before its answer. Before that, what reading several expressions in one batch saves:
what dynamic batching could gain at most.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

WAITING = 4
"""Requests that the server reads or lets wait."""
INKS = 24
PATH = "/v1/recognize"
SERVE = "import sys; from hmer.cli import main; sys.argv[0] = 'hmer'; main()"

Row = dict[str, Any]


def inks() -> list[Ink]:
    """Synthetic expressions, drawn."""
    source = Synthetic(train=INKS, val=0, test=0)
    return [ink for task in source.items(0) if (ink := task().ink) is not None]


def together(chosen: Sequence[Ink], sizes: Sequence[int] = (1, 2, 4, 8)) -> list[Row]:
    """Milliseconds of processor time an expression, read in batches of such sizes, in turn."""
    recognizer = Recognizer.load(backend="onnx")
    images = sorted((recognizer.prepare(ink) for ink in chosen), key=lambda image: image.shape[1])
    seconds: dict[int, float] = dict.fromkeys(sizes, 0.0)
    for turn in range(2):  # the first to warm up
        for size in sizes:
            began = time.process_time()
            for first in range(0, len(images), size):
                recognizer.read(images[first : first + size])
            if turn:
                seconds[size] = time.process_time() - began
    return [{"at once": n, "CPU ms": 1e3 * seconds[n] / len(images)} for n in sizes]


class Load:
    """Clients of one server, and what they got."""

    def __init__(self, address: str, bodies: Sequence[bytes], process: psutil.Process) -> None:
        self.address, self.bodies, self.process = address, bodies, process

    def run(self, name: str, clients: int, seconds: float, hang_up: float = 0.0) -> Row:
        """Keep so many clients asking for so long.

        Args:
            name: of the row.
            clients: at once.
            seconds: of it.
            hang_up: share of the requests whose client leaves before it is answered.
        """
        end = time.monotonic() + seconds
        memory = self.process.memory_info().rss
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(lambda n: self._client(n, end, hang_up), range(clients)))
        wall = time.monotonic() - began
        codes: Counter[str] = Counter()
        times: dict[str, list[float]] = {"200": [], "429": []}
        for code, took in (one for client in found for one in client):
            codes[code] += 1
            times.setdefault(code, []).append(took)
        row: Row = {"part": name, "clients": clients, "requests/s": len(times["200"]) / wall}
        for code in ("200", "429"):
            for share in (50, 99):
                values = times[code]
                row[f"{code} p{share} ms"] = (
                    1e3 * float(np.percentile(values, share)) if values else None
                )
        row["answers"] = dict(sorted(codes.items()))
        row["MB before"] = memory / 1e6
        row["MB after"] = self.process.memory_info().rss / 1e6
        return row

    def _client(self, number: int, end: float, hang_up: float) -> list[tuple[str, float]]:
        rng, found = random.Random(number), []
        with httpx.Client(base_url=self.address, timeout=120, trust_env=False) as client:
            while time.monotonic() < end:
                body = rng.choice(self.bodies)
                began = time.monotonic()
                if rng.random() < hang_up:
                    self._hang_up(body, rng)
                    code = "left"
                else:
                    answer = client.post(
                        PATH, content=body, headers={"content-type": "application/json"}
                    )
                    code = str(answer.status_code)
                found.append((code, time.monotonic() - began))
                if code == "429":
                    time.sleep(0.1)  # a client that knows how to wait, if not for long
        return found

    def _hang_up(self, body: bytes, rng: random.Random) -> None:
        """Send a request, or half of it, and leave."""
        host, port = self.address.removeprefix("http://").rstrip("/").split(":")
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        whole = head.encode() + body
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(whole[: len(whole) // 2] if rng.random() < 0.5 else whole)
            time.sleep(0.02)

    def idle(self) -> bool:
        """Whether the server comes to rest, with no request left."""
        for _ in range(300):
            if httpx.get(f"{self.address}readyz", trust_env=False).json() == {"waiting": 0}:
                return True
            time.sleep(0.1)
        return False


def with_server(workers: int, work: Callable[[str, psutil.Process], list[Row]]) -> list[Row]:
    """Do what needs a server, and end it."""
    words = ["serve", "--port", "0", "--workers", str(workers), "--waiting", str(WAITING)]
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = next((one for one in process.stderr if "listening at" in one), None)
            if line is None:
                sys.exit("error: hmer serve did not start")
            return work(line.split()[-1], psutil.Process(process.pid))
        finally:
            process.terminate()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.serving")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chosen = inks()
    bodies = [json.dumps({"strokes": [s.tolist() for s in ink.strokes]}).encode() for ink in chosen]
    batches, part = together(chosen), asked.seconds / 3

    def work(address: str, process: psutil.Process) -> list[Row]:
        load = Load(address, bodies, process)
        load.run("warm", 1, min(3.0, part))
        found = []
        for name, clients, hang_up in (
            ("steady", asked.clients, 0.0),
            ("overload", 4 * WAITING, 0.0),
            ("hanging up", asked.clients, 0.5),
        ):
            found.append(load.run(name, clients, part, hang_up))
            found[-1]["idle after"] = load.idle()
        return found

    rows = with_server(asked.workers, work)
    if asked.json:
        conditions = {"seconds": asked.seconds, "workers": asked.workers, "waiting": WAITING}
        report = {"serving": rows, "batches": batches, "conditions": conditions}
        sys.stdout.write(json.dumps(report) + "\n")
        return
    for some in (batches, rows):
        table = Table(*some[0])
        for row in some:
            table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values()))
        Console(width=200).print(table)


if __name__ == "__main__":
    main()
