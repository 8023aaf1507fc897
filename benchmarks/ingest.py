"""Ingestion at 1x and 4x the number of files: time per file, and memory that must not grow.

    python -m benchmarks.ingest [--json]              # on files written for the purpose
    CROHME_DIR=... python -m benchmarks.ingest        # and on the CROHME packages, whole

Memory is the largest resident size of the main process and of any one worker.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.output import publish
from benchmarks.timing import Row
from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.scale import normalise

FILES, MORE, WORKERS, WRITERS = 1500, 4, 2, 40


def write_package(path: Path, files: int) -> None:
    """A package of InkML files of synthetic ink, of the size that tablets record."""
    distinct = []
    for task in Synthetic(train=100, val=0, test=0).items(0):
        item = task()
        assert isinstance(item, SourceItem) and item.ink is not None
        distinct.append((normalise(item.ink), item.latex))
    with tarfile.open(path, "w:gz", compresslevel=1) as package:
        for number in range(files):
            ink, latex = distinct[number % len(distinct)]
            writer = f"w{number % WRITERS}"
            data = write_inkml(InkDocument(ink, latex, writer))
            entry = tarfile.TarInfo(f"ink/set/{number:06d}.inkml")
            entry.size = len(data)
            package.addfile(entry, BytesIO(data))


def ingest_here(name: str, source: str, out: Path) -> Row:
    """Ingest in this process, which must have done nothing large before."""
    crohme: dict[str, Any] = {"train": source}
    if name == "CROHME":
        crohme = {"train": f"{source}/train.tar.xz", "tests": {"2014": f"{source}/test2014.tar.xz"}}
    config = IngestConfig.model_validate(
        {"source": "crohme", "crohme": crohme, "workers": WORKERS, "val_share": 0.1}
    )
    began = time.perf_counter()
    summary = ingest(config, out / "dataset")
    seconds = time.perf_counter() - began
    files = sum(split.samples for split in summary.splits.values()) + summary.quarantined
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, worker = (resource.getrusage(one).ru_maxrss / 1024 for one in who)
    return {
        "what": name,
        "files": files,
        "seconds": seconds,
        "files/s": files / seconds,
        "main MiB": own,
        "worker MiB": worker,
    }


def measure() -> list[Row]:
    """Each ingestion in a process of its own, so that the peaks are its own."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        jobs: list[tuple[str, str]] = []
        for times in (1, MORE):
            path = Path(folder) / f"{times}.tar.gz"
            write_package(path, FILES * times)
            jobs.append((f"{times}x", str(path)))
        if crohme := os.environ.get("CROHME_DIR"):
            jobs.append(("CROHME", crohme))
        for name, source in jobs:
            command = [sys.executable, "-m", "benchmarks.ingest", name, source, f"{folder}/{name}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout))
    return found


if __name__ == "__main__":
    if len(sys.argv) == 4:  # one of them
        row = ingest_here(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
        sys.stdout.write(json.dumps(row) + "\n")
    else:
        publish({"ingest": measure()})
