"""How large the house is: files and lines, modules that each stage imports, cold start of reading.

    python -m benchmarks.house [--at TAG]

With a tag, what git has there is counted, and nothing is run.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.imports import reach

ROOT = Path(__file__).parents[1]
PACKAGES = ("hmer", "pipeline", "tests", "benchmarks")
STAGES = ("ingest", "validate", "pretrain", "attend", "finetune", "evaluate", "register")
RUNS = 3


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def table(root: Path) -> list[tuple[str, int, int, int]]:
    """Name, files, lines and lines of the median file of each package."""
    rows = []
    for package in PACKAGES:
        files = sorted((root / package).rglob("*.py"))
        lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
        rows.append((package, len(lines), sum(lines), round(statistics.median(lines))))
    text = (root / "dvc.yaml").read_text(encoding="utf-8")
    return [*rows, ("dvc.yaml", 1, len(text.splitlines()), len(text.splitlines()))]


def cold_start() -> tuple[float, float]:
    """Processor seconds (median) and peak MiB of reading one picture in a fresh process."""
    from PIL import Image, ImageDraw

    spent, peaks = [], []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "plus.png"
        image = Image.new("L", (160, 120), 255)
        draw = ImageDraw.Draw(image)
        draw.line((80, 20, 80, 100), fill=0, width=5)
        draw.line((40, 60, 120, 60), fill=0, width=5)
        image.save(picture)
        for _ in range(RUNS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            code = "from hmer.cli import main; main()"
            command = [sys.executable, "-c", code, "recognize", str(picture)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            assert done.stdout.strip(), "nothing was read"
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            peaks.append(after.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
    return statistics.median(spent), max(peaks)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", help="a tag or commit, in place of the working tree")
    tag = parser.parse_args().at
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) if tag else ROOT
        if tag:
            archive = subprocess.run(
                ["git", "archive", tag], cwd=ROOT, check=True, capture_output=True
            )
            subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        for name, files, lines, median in table(root):
            say(f"{name:<12} {files:4d} files {lines:6d} lines, median {median}")
        for stage in STAGES:
            found = reach(f"pipeline.stages.{stage}", root).files
            lines = sum(len((root / file).read_text().splitlines()) for file in found)
            say(f"{stage:<12} {len(found):4d} files {lines:6d} lines imported")
    if not tag:
        seconds, peak = cold_start()
        say(f"one picture, cold: {seconds:.2f} s of processor time, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
