"""Load on `hmer serve`: requests a second, latency, memory, overload.

    python -m benchmarks.serving [--seconds 60] [--clients 2] [--workers 1] [--json]

Starts a server of its own and writes to it synthetic ink, beam 10. Two parts of half the time: as
many clients as given, each asking as soon as it is answered; and four times as many as the server
lets wait (what is refused must be refused at once, with 429).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil

from benchmarks.output import publish
from benchmarks.timing import Row
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.strokes import Ink

WAITING = 4
"""Requests that the server reads or lets wait."""
INKS = 24
SERVE = "import sys; from hmer.cli import main; sys.argv[0] = 'hmer'; main()"


def inks() -> list[Ink]:
    """Synthetic expressions, drawn."""
    source = Synthetic(train=INKS, val=0, test=0)
    return [ink for task in source.items(0) if (ink := task().ink) is not None]


class Load:
    """Clients of one server, and what they got."""

    def __init__(self, address: str, bodies: Sequence[bytes], process: psutil.Process) -> None:
        self.address, self.bodies, self.process = address, bodies, process

    def run(self, name: str, clients: int, seconds: float) -> Row:
        """Keep so many clients asking for so long."""
        memory = self.process.memory_info().rss
        began = time.monotonic()
        end = began + seconds
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(lambda number: self._client(number, end), range(clients)))
        wall = time.monotonic() - began
        times: dict[int, list[float]] = {200: [], 429: []}
        for code, took in (one for client in found for one in client):
            times.setdefault(code, []).append(took)
        row: Row = {"part": name, "clients": clients, "requests/s": len(times[200]) / wall}
        for code in (200, 429):
            for share in (50, 99):
                values = times[code]
                row[f"{code} p{share} ms"] = (
                    1e3 * float(np.percentile(values, share)) if values else None
                )
        row["answers"] = {code: len(some) for code, some in sorted(times.items())}
        row["MB before"] = memory / 1e6
        row["MB after"] = self.process.memory_info().rss / 1e6
        return row

    def _client(self, number: int, end: float) -> list[tuple[int, float]]:
        rng, found = random.Random(number), []
        with httpx.Client(base_url=self.address, timeout=120, trust_env=False) as client:
            while time.monotonic() < end:
                began = time.monotonic()
                answer = client.post(
                    "/v1/recognize",
                    content=rng.choice(self.bodies),
                    headers={"content-type": "application/json"},
                )
                found.append((answer.status_code, time.monotonic() - began))
                if answer.status_code == 429:
                    time.sleep(0.1)  # a client that knows how to wait, if not for long
        return found


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
    bodies = [json.dumps({"strokes": [s.tolist() for s in ink.strokes]}).encode() for ink in inks()]

    def work(address: str, process: psutil.Process) -> list[Row]:
        load = Load(address, bodies, process)
        load.run("warm", 1, min(3.0, asked.seconds / 2))
        return [
            load.run(name, clients, asked.seconds / 2)
            for name, clients in (("steady", asked.clients), ("overload", 4 * WAITING))
        ]

    title = f"serving, {asked.workers} workers, {WAITING} may wait"
    publish({title: with_server(asked.workers, work)})


if __name__ == "__main__":
    main()
