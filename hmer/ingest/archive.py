"""Reading the files of a folder or a package, one at a time and in memory.

Packages come from elsewhere and are not trusted: nothing is ever extracted to disk, names that
point outside, links and devices are refused, and so are packages that swell beyond reason.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from hmer.errors import ArchiveError

MAX_MEMBER = 64 * 2**20
"""Bytes of one file."""
MAX_TOTAL = 64 * 2**30
"""Bytes of a package, unpacked."""
MAX_RATIO = 400
"""Unpacked over packed size (CROHME's is 15), beyond the first `_FREE` bytes."""

Suffix = str | tuple[str, ...]
"""Ending of file names in lower case, or several of them."""

_FREE = 64 * 2**20
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    ArithmeticError,
    struct.error,
)
"""What the readers of the standard library raise on damaged packages."""
_UTF8 = 0x800  # a zip entry's flag: its name is in it
_END_READS = 64  # a sound package is read past its end a few times


@dataclass(frozen=True, slots=True)
class Member:
    """A file: its path inside the folder or package, with forward slashes, and its content."""

    name: str
    data: bytes


def read_members(path: Path, suffix: Suffix, parameter: str) -> Iterator[Member]:
    """The files whose names end in `suffix` (any case); hidden ones are passed over.

    A folder is read in the order of its names, a package (.tar, .tar.gz, .tgz, .tar.xz, .tar.bz2,
    .zip) in its own order. `suffix` "": all files but those that are too large. `parameter` is what
    the user set to name the path, for error messages.

    Raises:
        ArchiveError: the path is missing, of another kind, damaged or unsafe.
    """
    check_path(path, parameter)
    if path.is_dir():
        yield from _folder(path, suffix)
        return
    reader = _zip if path.name.lower().endswith(".zip") else _tar
    try:
        yield from reader(path, suffix)
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise ArchiveError(
            f"{path.name}: damaged or not the package its name says ({error}); fetch it again"
        ) from error


def check_path(path: Path, parameter: str) -> None:
    """Check that there is something to read.

    Raises:
        ArchiveError: the path is missing, or neither a folder nor a known package.
    """
    if _mode(path) is None:
        raise ArchiveError(
            f"{parameter}: {path} does not exist; set it to the folder or package of the data"
        )
    if not path.is_dir() and not path.name.lower().endswith((*_TAR_SUFFIXES, ".zip")):
        kinds = ", ".join((*_TAR_SUFFIXES, ".zip"))
        raise ArchiveError(f"{parameter}: {path} is neither a folder nor a package ({kinds})")


def read_lines(path: Path, parameter: str) -> Iterator[str]:
    """The lines of a UTF-8 text, perhaps compressed (gzip, xz, bzip2), without their ends.

    Raises:
        ArchiveError: it is missing, damaged, or no such text.
    """
    if not path.is_file():
        raise ArchiveError(f"{parameter}: {path} is no file; set it to the file as published")
    try:
        with path.open("rb") as raw, _decompressed(raw) as stream:
            left = _limit(path)
            while line := stream.readline(MAX_MEMBER):
                left -= len(line)
                if left < 0:
                    raise ArchiveError(f"{path}: unpacks to too much; do not trust it")
                yield line.decode("utf-8-sig").rstrip("\r\n")
    except ArchiveError:
        raise
    except _DAMAGE as error:
        raise ArchiveError(f"{path}: damaged, or no text ({error}); fetch it again") from error


def count_members(paths: Iterable[Path], suffix: Suffix, limit: int | None = None) -> int | None:
    """How many files `read_members` will give, or None where only reading them all would tell.

    Of each path at most `limit` are counted.
    """
    total = 0
    for path in paths:
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            count = sum(1 for _ in _walk(path, suffix))
        elif not path.name.lower().endswith(".zip"):
            return None
        else:
            try:
                with zipfile.ZipFile(path) as package:
                    count = sum(_wanted(_name(entry), suffix) for entry in package.infolist())
            except _DAMAGE:  # reading it will tell
                return None
        total += count if limit is None else min(count, limit)
    return total


def _limit(path: Path) -> int:
    """Bytes that a package of its size may unpack to."""
    return min(MAX_TOTAL, _FREE + MAX_RATIO * path.stat().st_size)


def _mode(path: Path) -> int | None:
    """What lies at a path; None where nothing does, or can: too long a name, a loop of links."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def _wanted(name: str, suffix: Suffix) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith((".", "__MACOSX")) and part != "." for part in parts)
    return name.lower().endswith(suffix) and not hidden


def _walk(root: Path, suffix: Suffix) -> Iterator[Path]:
    # Links to files are followed (a DVC cache may hold them), links to folders could be circular.
    for folder, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(files):
            path = Path(folder) / name
            if _wanted(path.relative_to(root).as_posix(), suffix):
                yield path


def _folder(root: Path, suffix: Suffix) -> Iterator[Member]:
    for path in _walk(root, suffix):
        name = f"{root.resolve().name}/{path.relative_to(root).as_posix()}"
        try:
            status = path.stat()
            if not suffix and not (stat.S_ISREG(status.st_mode) and status.st_size <= MAX_MEMBER):
                continue
            if not stat.S_ISREG(status.st_mode):
                raise ArchiveError(f"{name}: not a plain file; remove it")
            if status.st_size > MAX_MEMBER:
                raise ArchiveError(f"{name}: larger than {MAX_MEMBER} bytes; remove it")
            yield Member(name, path.read_bytes())
        except OSError as error:
            raise ArchiveError(f"{name}: cannot be read ({error.strerror})") from error


def _check_name(package: str, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0] or "\0" in name:
        raise ArchiveError(f"{package}: {name!r} points outside the package; do not trust it")


def _name(entry: zipfile.ZipInfo) -> str:
    """The name of a zip's entry: Finder writes UTF-8 unmarked, old tools of Windows backslashes."""
    name = entry.filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):  # other bytes than UTF-8's, or a reader that knows the mark
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


class _Limited(io.RawIOBase):
    """A stream that refuses to give more than a package of its size reasonably holds.

    Nor is it read past its end for ever: `tarfile` skips as many bytes as a header claims, one
    read after the other, whether there are any or not.
    """

    def __init__(self, stream: BinaryIO, package: str, limit: int) -> None:
        self._stream = stream
        self._package = package
        self._limit = limit
        self._given = 0
        self._past_end = 0

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= MAX_MEMBER:
            raise ArchiveError(f"{self._package}: a header asks for {size} bytes; do not trust it")
        data = self._stream.read(size)
        self._given += len(data)
        self._past_end += not data
        if self._past_end > _END_READS:
            raise ArchiveError(f"{self._package}: ends too soon; fetch it again")
        if self._given > self._limit:
            raise ArchiveError(
                f"{self._package}: unpacks to more than {self._limit} bytes; do not trust it"
            )
        return data


def _tar(path: Path, suffix: Suffix) -> Iterator[Member]:
    with path.open("rb") as raw, _decompressed(raw) as stream:
        limited = cast(BinaryIO, _Limited(stream, path.name, _limit(path)))
        with tarfile.open(fileobj=limited, mode="r|") as package:
            for entry in package:
                _check_name(path.name, entry.name)
                if entry.isdir():
                    continue
                if not entry.isreg() or entry.issparse():
                    raise ArchiveError(
                        f"{path.name}: {entry.name!r} is a link or device; do not trust it"
                    )
                if not _taken(path, entry.name, entry.size, suffix):
                    continue
                file = package.extractfile(entry)
                data = file.read() if file else b""
                if len(data) != entry.size:
                    raise ArchiveError(f"{path.name}: ends too soon; fetch it again")
                yield Member(entry.name, data)


def _taken(package: Path, name: str, size: int, suffix: Suffix) -> bool:
    """Whether an entry is wanted; one that is too large is passed over, or refused by its name."""
    if _wanted(name, suffix) and size > MAX_MEMBER and suffix:
        raise ArchiveError(f"{package.name}: {name!r} is larger than {MAX_MEMBER} bytes")
    return _wanted(name, suffix) and size <= MAX_MEMBER


def _decompressed(raw: BinaryIO) -> BinaryIO:
    """The stream behind a compressed one, told by its first bytes, not by the file's name."""
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if magic.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    return raw


def _zip(path: Path, suffix: Suffix) -> Iterator[Member]:
    limit, total = _limit(path), 0
    with zipfile.ZipFile(path) as package:
        for entry in package.infolist():
            name = _name(entry)
            _check_name(path.name, name)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if name.endswith("/"):
                continue
            if kind not in (0, stat.S_IFREG):
                raise ArchiveError(f"{path.name}: {name!r} is a link or device; do not trust it")
            if entry.flag_bits & 1 and _wanted(name, suffix):
                raise ArchiveError(f"{path.name}: {name!r} is encrypted; decrypt it")
            if not _taken(path, name, entry.file_size, suffix):
                continue
            with package.open(entry) as file:
                data = file.read(MAX_MEMBER + 1)
            total += len(data)
            if len(data) > MAX_MEMBER or total > limit:
                raise ArchiveError(
                    f"{path.name}: unpacks to more than {limit} bytes; do not trust it"
                )
            yield Member(name, data)


def spread(
    path: Path,
    suffix: Suffix,
    parameter: str,
    limit: int | None,
    wanted: Callable[[Member], bool] | None = None,
) -> Iterator[Member]:
    """All members, or `limit` of them at even distances: the first alone would be one writer's.

    `wanted` chooses by content; the rest is as for `read_members`.
    """

    def members() -> Iterator[Member]:
        return filter(wanted or (lambda member: True), read_members(path, suffix, parameter))

    if limit is None:
        yield from members()
        return
    count = None if wanted else count_members([path], suffix)
    if count is None:
        count = sum(1 for _ in members())
    share = min(limit, count)
    for number, member in enumerate(members()):
        if (number + 1) * share // count > number * share // count:
            yield member
