"""Many small files as a package or a folder: the same bytes every time, and complete or absent."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from hmer.errors import HmerError

Add = Callable[[str, bytes], None]
"""Puts a file into the package: its path with forward slashes, and its content."""

_TARS = {".tar": "", ".tar.gz": "gz", ".tgz": "gz", ".tar.xz": "xz", ".txz": "xz"}
_PACK: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "": lambda raw: raw,
    "gz": lambda raw: cast(IO[bytes], gzip.GzipFile("", "wb", fileobj=raw, mtime=0)),
    "xz": lambda raw: cast(IO[bytes], lzma.LZMAFile(raw, "wb")),  # noqa: SIM115
}
_ENDS = (*_TARS, ".zip")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP archive can tell


def check_package(path: Path) -> None:
    """Refuse a name that says no kind of package, and a folder that has something in it.

    Raises:
        HmerError: it is such a path.
    """
    if path.suffix and not path.name.lower().endswith(_ENDS):
        raise HmerError(f"{path}: name a folder, or end the name in {', '.join(_ENDS)}")
    if path.is_dir() and (path.suffix or any(path.iterdir())):
        raise HmerError(f"{path}: there is a folder with something in it; choose another name")


@contextmanager
def new_package(path: Path) -> Iterator[Add]:
    """A package that appears under its name when the block ends without an error.

    Args:
        path: ends in .tar, .tar.gz, .tgz, .tar.xz, .txz or .zip; otherwise a folder is made.

    Raises:
        HmerError: it cannot be written, or what is there is not to be replaced.
    """
    check_package(path)
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(part, path.name.lower()) as add:
            yield add
        part.replace(path)
    except OSError as error:
        raise HmerError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        _remove(part)


@contextmanager
def _opened(part: Path, name: str) -> Iterator[Add]:
    end = next((end for end in _ENDS if name.endswith(end)), "")
    with ExitStack() as stack:
        if end == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED))
            yield lambda file, data: archive.writestr(_zipped(file), data)
        elif end:
            raw = stack.enter_context(part.open("wb"))
            packed = _PACK[_TARS[end]](raw)
            stack.callback(packed.close)
            tar = stack.enter_context(tarfile.open(fileobj=packed, mode="w"))
            yield lambda file, data: tar.addfile(_tarred(file, data), io.BytesIO(data))
        else:
            part.mkdir()
            yield lambda file, data: _store(part / file, data)


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _zipped(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    return info


def _tarred(name: str, data: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)  # of no owner and no time
    info.size = len(data)
    return info


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
