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
from hmer.data.schema import encode_png
from hmer.ink.render import render
from hmer.synthesis.render_latex import write_latex

ROOT = Path(__file__).parents[1]
LARGEST = 250_000_000
"""Bytes that everything may have once it is installed."""


def run(*command: str | Path, where: Path) -> str:
    """What a command prints, without anything of this environment in reach."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=where, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-weights"):
        shutil.copy(ROOT / name, source)
    leave = shutil.ignore_patterns("__pycache__")
    for package in ("hmer", "pipeline"):
        shutil.copytree(ROOT / package, source / package, ignore=leave)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    return source / run(sys.executable, "-c", build, where=source).splitlines()[-1]


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, where=folder)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(folder / "bin" / "python", *pip, wheel, where=folder)
    return folder


def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"hmer", f"hmer-{__version__}.dist-info"}
    inside = {name.removeprefix("hmer/") for name in names}
    shipped = {f"shipped/{path.name}" for path in (ROOT / "hmer" / "shipped").iterdir()}
    assert {"py.typed", *shipped} <= inside
    assert sum(name.endswith(("LICENSE", "LICENSE-weights")) for name in names) == 2


def test_it_reads_a_picture(environment: Path, tmp_path: Path) -> None:
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
    answer = json.loads(run(environment / "bin" / "python", "-c", code, where=tmp_path))
    assert answer["latex"] == "a + b" and answer["compact"] == "a + b"
    assert run(environment / "bin" / "hmer", "--version", where=tmp_path) == f"hmer {__version__}\n"


def test_it_is_light(environment: Path, tmp_path: Path) -> None:
    packages = next((environment / "lib").glob("python*")) / "site-packages"
    pip = [path for name in ("pip", "setuptools") for path in (packages / name).rglob("*")]
    files = set(packages.rglob("*")) - set(pip)
    assert sum(path.stat().st_size for path in files if path.is_file()) < LARGEST
    assert not {"torch", "pandas", "lightning"} & {path.name for path in packages.iterdir()}
    done = subprocess.run(
        [environment / "bin" / "hmer", "evaluate", tmp_path], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "pip install 'hmer[train]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
