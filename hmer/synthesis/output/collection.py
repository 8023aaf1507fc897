"""Output of a collection of written expressions as a folder or package, reproducible and atomic."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pydantic import BaseModel, ConfigDict

from hmer.errors import HmerError
from hmer.files import atomic_file, atomic_folder
from hmer.synthesis.base import Numbered, Written
from hmer.synthesis.generators import Generators
from hmer.synthesis.output.inkml import contradiction, to_inkml

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
    name = path.name.lower()
    whole = atomic_file if name.endswith(tuple(_ENDS)) else atomic_folder
    try:
        with whole(path) as part, _opened(part, name) as add:
            yield add
    except OSError as error:
        raise HmerError(f"{path}: cannot be written ({error.strerror or error})") from error


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


FOLDER = "written"
SUMMARY = f"{FOLDER}/summary.json"
"""Where the account lies in a package."""

FONT = "font"
"""Whose hand it is where the vector font writes."""


class CollectionSummary(BaseModel):
    """What was written, and what was not.

    Attributes:
        seed: with the number of an expression it decides what is written.
        expressions: files.
        by_generator: of these, by the generator that made them.
        captions: different ones.
        new_captions: those that the training split does not have.
        held_out: captions that must not be written; None if nothing told them.
        excluded: how often such a caption came up, by generator (see `Generators.excluded`).
        nothing: draws that came to nothing for other reasons, or for this one.
        contradictory: expressions that were left out, since the file said something else when it
            was read back, by reason.
        from_font: symbols that the glyph bank lacked, by token; the vector font wrote them.
        material: expressions of the training split that have ink.
        skipped: those whose symbols are unknown or contradict the caption; None where no
            generator takes expressions apart.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    expressions: int
    by_generator: dict[str, int]
    captions: int
    new_captions: int
    held_out: int | None
    excluded: dict[str, int]
    nothing: int
    contradictory: dict[str, int]
    from_font: dict[str, int]
    material: int
    skipped: int | None


@dataclass(frozen=True)
class Origin:
    """What the expressions are made of.

    Attributes:
        captions: of the training split.
        writers: of the same expressions.
        held_out: how many captions are held out; None if nothing tells.
    """

    captions: Sequence[Sequence[str]]
    writers: Sequence[str]
    held_out: int | None

    def writer_of(self, written: Written) -> str:
        """Whose hand an expression is in: that of the ink it began with, or whose glyphs it has."""
        return self.writers[written.base] if written.base is not None else written.hand or FONT


def write_collection(
    generators: Generators,
    origin: Origin,
    count: int,
    seed: int,
    out: Path,
    dialect: str = "wap",
    progress: Callable[[int], None] | None = None,
) -> CollectionSummary:
    """Write expressions 0 to `count - 1` into a folder or package, each checked by reading it.

    Args:
        generators: what writes.
        origin: what it is made of.
        count: how many.
        seed: decides, with its number, each of them.
        out: a folder, or a package whose name tells the kind (see `new_package`).
        dialect: of the captions.
        progress: is told how many are done.

    Raises:
        HmerError: `out` cannot be written, or the generators come to nothing.
    """
    numbered = Numbered(generators, seed)
    kinds: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    captions: set[str] = set()
    with new_package(out) as add:
        for number in range(count):
            written = numbered[number]
            name = f"{FOLDER}-{seed}-{number:07d}"
            data = to_inkml(written, origin.writer_of(written), name)
            problem = contradiction(data, written, dialect)
            if problem is None:
                add(f"{FOLDER}/{written.kind}/{name}.inkml", data)
                kinds[written.kind] += 1
                captions.add(" ".join(written.tokens))
            else:
                wrong[problem] += 1
            if progress is not None:
                progress(number + 1)
        summary = CollectionSummary(
            seed=seed,
            expressions=kinds.total(),
            by_generator=dict(sorted(kinds.items())),
            captions=len(captions),
            new_captions=len(captions - {" ".join(tokens) for tokens in origin.captions}),
            held_out=origin.held_out,
            excluded=generators.excluded(),
            nothing=numbered.nothing,
            contradictory=dict(sorted(wrong.items())),
            from_font=generators.from_font(),
            material=len(origin.captions),
            skipped=generators.skipped,
        )
        add(SUMMARY, (summary.model_dump_json(indent=2) + "\n").encode())
    return summary
