"""Files and folders: written atomically (whole or not there at all), and digests of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL, OLD = ".partial", ".old"
IGNORED = ("__pycache__",)
"""Folders that are no content."""


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` only when the block ends without an exception.

    It is a sibling of `out`, so the change-over is two renames on one file system; everything is
    on the disk before them. What was in `out` stays until then, and afterwards is gone, except a
    `.gitignore`, which DVC keeps next to single files. After an exception nothing is left (which
    also frees a full disk); what a killed process left is removed at the next start.
    """
    _recover(out)
    partial = _fresh(out)
    partial.mkdir(parents=True)
    try:
        yield partial
        if (out / ".gitignore").is_file() and not (partial / ".gitignore").exists():
            shutil.copy2(out / ".gitignore", partial)
        _sync(partial)
        _replace(partial, out)
    finally:
        _remove(partial)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """The same for a single file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _fresh(path)
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync_entry(path.parent)
    finally:
        _remove(partial)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for child in sorted(path.iterdir()):
        if child.name not in IGNORED:
            digest.update(json.dumps([child.name, content_digest(child)]).encode())
    return digest.hexdigest()


def _replace(source: Path, target: Path) -> None:
    """Put the folder `source` in the place of `target`."""
    if target.exists():
        # A folder with content cannot be renamed onto. For a moment there is no target: seen by
        # DVC as a missing output, never as a good one; `_recover` mends it after a kill.
        old = target.with_name(f".{target.name}{OLD}")
        _remove(old)
        target.rename(old)
        source.rename(target)
        _remove(old)
    else:
        source.rename(target)
    _sync_entry(target.parent)


def _recover(target: Path) -> None:
    """Undo a `_replace` that was killed between its two renames, or remove what it left."""
    old = target.with_name(f".{target.name}{OLD}")
    if not old.exists():
        return
    if target.exists():
        _remove(old)
    else:
        old.rename(target)


def _fresh(target: Path) -> Path:
    """A name beside `target` that no other process uses; what dead ones have left is removed.

    Not by `tempfile`, whose files nobody else may read.
    """
    pattern = re.compile(rf"\.{re.escape(target.name)}(?:\.(\d+)-[0-9a-f]+)?{re.escape(PARTIAL)}")
    for left in target.parent.iterdir() if target.parent.is_dir() else ():
        found = pattern.fullmatch(left.name)
        if found and not (found[1] and _alive(int(found[1]))):
            _remove(left)
    token = f"{os.getpid()}-{secrets.token_hex(4)}"
    return target.with_name(f".{target.name}.{token}{PARTIAL}")


def _alive(process: int) -> bool:
    """Whether there is a process of this number; on Windows, which has no signal 0, assumed."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    if path.is_dir():
        for child in path.iterdir():
            _sync(child)
    _sync_entry(path)


def _sync_entry(path: Path) -> None:
    if os.name == "nt":  # which opens neither folders nor, to flush them, files for reading only
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Remove a file or folder, also where another process is removing it, too."""
    while path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
    path.unlink(missing_ok=True)
