"""What `pip install hmer` brings, and what reading with it costs beside PyTorch.

    python -m benchmarks.install PICTURE [--rounds 3] [--json]

Builds the wheel, installs it into an empty environment, and starts `hmer recognize PICTURE` there
and, by PyTorch, in this environment, in turn. Processor time is that of the whole process, from
start to answer, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
FURTHER = 5
"""Pictures more, by which the cost of one more is measured."""
_READ = (
    "import sys; from hmer.recognizer import Recognizer; r = Recognizer.load(backend={backend!r})\n"
    "for name in sys.argv[1:]: r(name)"
)


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    """Of processor time."""
    megabytes: float
    """At most in memory."""


def clean() -> dict[str, str]:
    """The environment without this interpreter's settings, on one thread."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "OMP_NUM_THREADS": "1"}


def call(*command: str | Path, where: Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=where, env=clean(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return done.stdout


def build_wheel(source: Path) -> Path:
    """The project's wheel, made in an empty folder."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-weights"):
        shutil.copy(ROOT / name, source)
    for package in ("hmer", "pipeline"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=leave)
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    return source / call(sys.executable, "-c", code, where=source).splitlines()[-1]


def install(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel and what it asks for: its folder of programs."""
    call(sys.executable, "-m", "venv", "--without-pip", folder, where=folder.parent)
    uv = Path(sys.executable).with_name("uv")  # make setup brings it
    python = folder / "bin" / "python"
    call(uv, "pip", "install", "--quiet", "--python", python, wheel, where=folder)
    return folder / "bin"


def installed_bytes(programs: Path) -> int:
    """Of all packages of an environment."""
    packages = next((programs.parent / "lib").glob("python*")) / "site-packages"
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())


def cost(python: Path, backend: str, pictures: list[Path], where: Path) -> Cost:
    """Of reading the pictures in a process of its own."""
    command = [str(python), "-c", _READ.format(backend=backend), *map(str, pictures)]
    process = subprocess.Popen(command, cwd=where, env=clean())
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{python}: reading ended with {status}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(picture: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds and megabytes of both ways, in turn; medians."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (source := place / "source").mkdir()
        programs = install(build_wheel(source), place / "environment")
        ways = {"onnx": (programs / "python", place), "torch": (Path(sys.executable), ROOT)}
        one: dict[str, list[Cost]] = {way: [] for way in ways}
        more: dict[str, list[Cost]] = {way: [] for way in ways}
        imports: list[float] = []
        for _ in range(rounds):
            for way, (python, where) in ways.items():
                one[way].append(cost(python, way, [picture], where))
                more[way].append(cost(python, way, [picture] * (1 + FURTHER), where))
            began = time.perf_counter()
            call(programs / "python", "-c", "import hmer", where=place)
            empty = time.perf_counter()
            call(programs / "python", "-c", "", where=place)
            imports.append(2 * empty - began - time.perf_counter())
        for way in ways:
            first = statistics.median(c.seconds for c in one[way])
            further = statistics.median(c.seconds for c in more[way]) - first
            found[way] = {
                "first picture, s of CPU": first,
                "each further, ms of CPU": 1e3 * further / FURTHER,
                "peak, MB": statistics.median(c.megabytes for c in one[way]),
            }
        found["onnx"]["installed, MB"] = installed_bytes(programs) / 1e6
        found["onnx"]["import hmer, s"] = statistics.median(imports)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.install")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.picture.absolute(), asked.rounds)
    if asked.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    table = Table("", "onnx, installed", "torch")
    for name in found["onnx"]:
        table.add_row(name, *(f"{found[w][name]:.3g}" if name in found[w] else "" for w in found))
    Console().print(table)


if __name__ == "__main__":
    main()
