"""The wheel in an empty environment: the library alone, which reads a picture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hmer import __version__
from hmer.ink.images import encode_png
from hmer.ink.render import render
from hmer.synthesis.render_latex import write_latex

pytestmark = pytest.mark.medium


ROOT = Path(__file__).parents[1]
LARGEST = 250_000_000
"""Bytes that everything may have once it is installed."""


def call(*command: str | Path, where: Path) -> str:
    """What a command prints, without this interpreter's settings; it must succeed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=where, env=kept, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made in an empty folder."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-weights"):
        shutil.copy(ROOT / name, source)
    for package in ("hmer", "pipeline"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=leave)
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    return source / call(sys.executable, "-c", code, where=source).splitlines()[-1]


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    call(sys.executable, "-m", "venv", "--without-pip", folder, where=folder.parent)
    uv = Path(sys.executable).with_name("uv")  # make setup brings it
    python = folder / "bin" / "python"
    call(uv, "pip", "install", "--quiet", "--python", python, wheel, where=folder)
    return folder / "bin"


def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"hmer", f"hmer-{__version__}.dist-info"}
    inside = {name.removeprefix("hmer/") for name in names}
    data = {
        path.relative_to(ROOT / "hmer").as_posix()
        for folder in ("shipped", "web/static")
        for path in (ROOT / "hmer" / folder).rglob("*")
        if path.is_file()
    }
    assert {"py.typed", *data} <= inside
    licences = [name for name in names if "/licenses/" in name]
    assert {name.split("/")[-1] for name in licences} == {"LICENSE", "LICENSE-weights"}


def test_it_reads_a_picture(programs: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(encode_png(255 - render(write_latex("a + b", 3, None, True).ink, 30).image))
    code = (
        "import sys\n"
        "import hmer\n"
        "assert not {'numpy', 'onnxruntime'} & set(sys.modules), 'import hmer is to be cheap'\n"
        "from hmer.cli import main\n"
        "sys.argv = ['hmer', 'recognize', '--json', 'picture.png']\n"
        "main()\n"
    )
    answer = json.loads(call(programs / "python", "-c", code, where=tmp_path))
    assert answer["latex"] == "a + b" and answer["compact"] == "a + b"
    assert call(programs / "hmer", "--version", where=tmp_path) == f"hmer {__version__}\n"


def test_it_is_light(programs: Path, tmp_path: Path) -> None:
    packages = next((programs.parent / "lib").glob("python*")) / "site-packages"
    installed = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert installed < LARGEST
    done = subprocess.run(
        [programs / "hmer", "evaluate", tmp_path], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "pip install 'hmer[train]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
