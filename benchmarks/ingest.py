"""Ingestion at 1x and 4x the number of files: time per file, and memory that must not grow.

    python -m benchmarks.ingest                       # on files written for the purpose
    CROHME_DIR=... python -m benchmarks.ingest        # and on the CROHME packages, whole

Memory is the largest resident size of the main process and of any one worker.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.scale import normalise

FILES, MORE, WORKERS, WRITERS = 1500, 4, 2, 40


class Measured(NamedTuple):
    """One ingestion."""

    name: str
    files: int
    seconds: float
    megabytes: float
    """Of the main process, at most."""
    worker_megabytes: float


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


def crohme_section(folder: Path) -> dict[str, object]:
    """The parameters for the packages of CROHME."""
    return {"train": str(folder / "train.tar.xz"), "tests": {"2014": f"{folder}/test2014.tar.xz"}}


def measure_here(name: str, crohme: dict[str, object], out: Path) -> Measured:
    """Ingest in this process, which must have done nothing large before."""
    config = IngestConfig.model_validate(
        {"source": "crohme", "crohme": crohme, "workers": WORKERS, "val_share": 0.1}
    )
    began = time.perf_counter()
    summary = ingest(config, out / "dataset")
    seconds = time.perf_counter() - began
    files = sum(split.samples for split in summary.splits.values()) + summary.quarantined
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own, worker = (resource.getrusage(one).ru_maxrss / 1024 for one in who)
    return Measured(name, files, seconds, own, worker)


def measure() -> list[Measured]:
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
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.ingest", name, source, f"{folder}/{name}"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            files, *numbers = output.split()[1:]
            found.append(Measured(name, int(files), *map(float, numbers)))
    return found


def main() -> None:
    """Measure all, or with arguments the one that they name."""
    if len(sys.argv) == 4:
        name, path, out = sys.argv[1:]
        section: dict[str, object] = {"train": path}
        if name == "CROHME":
            section = crohme_section(Path(path))
        result = measure_here(name, section, Path(out))
        sys.stdout.write(" ".join(map(str, result)) + "\n")
        return
    table = Table("what", "files", "seconds", "files/s", "main MiB", "worker MiB")
    for one in measure():
        table.add_row(
            one.name,
            str(one.files),
            f"{one.seconds:.1f}",
            f"{one.files / one.seconds:.0f}",
            f"{one.megabytes:.0f}",
            f"{one.worker_megabytes:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
