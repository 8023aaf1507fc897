"""Where a command is to write: a path that cannot be written is refused before the work."""

from __future__ import annotations

import os
from pathlib import Path

from hmer.errors import HmerError


def check_file(path: Path, option: str) -> None:
    """Refuse a path that cannot become a file.

    Raises:
        HmerError: it is a folder, or its own folder is not there or cannot be written to.
    """
    if path.is_dir():
        raise HmerError(f"{option}: {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise HmerError(f"{option}: {path.parent} is no folder; create it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise HmerError(f"{option}: {path} cannot be written; name another file")


def check_folder(path: Path, option: str) -> None:
    """Refuse a path that cannot become a folder; those that it lies in need not be there.

    Raises:
        HmerError: there is a file, or a folder that cannot be written to.
    """
    there = next((one for one in (path, *path.absolute().parents) if one.exists()), path)
    if not there.is_dir():
        raise HmerError(f"{option}: {there} is a file; name a folder")
    if not os.access(there, os.W_OK):
        raise HmerError(f"{option}: {path} cannot be written; name another folder")
