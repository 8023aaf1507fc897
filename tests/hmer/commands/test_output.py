"""What cannot be written is refused in one line that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hmer.commands.output import check_file, check_folder
from hmer.errors import HmerError


def test_files(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    for free in ("new", "there"):
        check_file(tmp_path / free, "--out")
    with pytest.raises(HmerError, match=rf"--out: {tmp_path} is a folder; name a file in it"):
        check_file(tmp_path, "--out")
    for nowhere in ("none/new", "there/new"):
        with pytest.raises(HmerError, match="is no folder; create it first"):
            check_file(tmp_path / nowhere, "--out")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").touch()
    monkeypatch.chdir(tmp_path)
    for free in (tmp_path, tmp_path / "new/and/deeper", Path("new"), Path()):
        check_folder(free, "--out")
    for taken in (Path("there"), tmp_path / "there/new"):
        with pytest.raises(HmerError, match=r"--out: .*there is a file; name a folder"):
            check_folder(taken, "--out")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="a user with all rights")
def test_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for check in (check_file, check_folder):
        with pytest.raises(HmerError, match="cannot be written; name another"):
            check(tmp_path / "new", "--out")
