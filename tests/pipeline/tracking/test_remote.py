"""Outputs by way of a DVC remote, into a clone that has never run anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


def test_a_clone_pulls_what_was_pushed(toy: Toy, tmp_path: Path) -> None:
    assert toy.run("-m", "dvc", "repro").returncode == 0
    added = toy.run("-m", "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    assert added.returncode == 0, added.stderr
    pushed = toy.run("-m", "dvc", "push")
    assert pushed.returncode == 0, pushed.stderr

    clone = type(toy)(tmp_path / "clone")
    clone.root.mkdir()
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "toy.py", "raw.txt", ".dvc/config"):
        (clone.root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(toy.root / name, clone.root / name)
    pulled = clone.run("-m", "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert (clone.root / "out/third/value.txt").read_text() == "ink"
    status = clone.run("-m", "dvc", "status", "--json")
    assert status.stdout.strip() == "{}"
    assert not (clone.root / "pid-first").exists(), "nothing had to run"
