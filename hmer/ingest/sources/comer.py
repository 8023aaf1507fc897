"""The `data.zip` of BTTR, CoMER, ICAL, PosFormer, TAMER and others: pictures with captions.

One folder per split (`train`, `2014`, `2016`, `2019`, ...), in it `caption.txt` with a name and
its tokens on each line, blanks between, and a picture per name, in `img/` or beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import Field

from hmer.errors import HmerError
from hmer.ingest.archive import count_members, read_members, spread
from hmer.ingest.sources.base import Rejected, Source, SourceItem
from hmer.ingest.sources.inkml import writer_of
from hmer.ink.raster import PICTURES

_CAPTIONS = "caption.txt"
_PARAMETER = "ingest.comer.path"
_VALIDATION = frozenset({"val", "valid", "validation"})
"""Folders of this name hold the validation set."""

Captions = dict[str, tuple[str, ...]]
"""Tokens by name of the picture."""


class Comer(Source):
    """Where the data are, and what to make of the captions."""

    name = "comer"

    path: str = Field(
        default="data/raw/data.zip", description="folder or package with a folder per split"
    )
    respell: bool = Field(
        default=False,
        description="spell the captions in the dialect of ingest; else tokens stay as they are",
    )
    limit: int | None = Field(
        default=None, ge=1, description="take only so many pictures, spread evenly"
    )

    def paths(self) -> Iterator[str]:
        """The one folder or package."""
        yield self.path

    @property
    def total(self) -> int | None:
        """How many pictures there are, if that can be told without reading them."""
        return count_members([Path(self.path)], PICTURES, self.limit)

    def items(self, seed: int) -> Iterator[SourceItem | Rejected]:
        """The pictures in the order of the package, then captions without one; no seed is needed.

        Raises:
            HmerError: the path cannot be read, or there are no captions or no pictures.
        """
        path = Path(self.path)
        captions, refused = read_captions(path)
        yield from refused
        validation = any(PurePosixPath(folder).name in _VALIDATION for folder in captions)
        found = 0
        for member in spread(path, PICTURES, _PARAMETER, self.limit):
            found += 1
            file = PurePosixPath(member.name)
            folder = next((str(p) for p in file.parents if str(p) in captions), "")
            # The WAP release adds a channel number to the names of its pictures.
            names = (file.stem, file.stem.removesuffix("_0"))
            name = next((n for n in names if n in captions.get(folder, ())), None)
            split = _split_named(PurePosixPath(folder).name, validation)
            if name is None:
                reason = f"{member.name}: no line of a {_CAPTIONS} names it, or it is there twice"
                yield Rejected(file.stem, member.name, reason, split if folder else None)
                continue
            tokens = captions[folder].pop(name)
            yield SourceItem(
                id=name,
                source=self.name,
                writer=writer_of(name, self.name),
                latex=" ".join(tokens),
                tokens=None if self.respell else tokens,
                split=split,
                data=member.data,
                file=member.name,
            )
        if not found:
            raise HmerError(
                f"{_PARAMETER}: {path} holds captions but no pictures (images.pkl is not read: "
                "opening a pickle runs code); take the form with a picture file per expression"
            )
        for folder, left in captions.items() if self.limit is None else ():
            file_of = f"{folder}/{_CAPTIONS}"
            split = _split_named(PurePosixPath(folder).name, validation)
            for name in left:
                yield Rejected(name, file_of, f"{file_of}: there is no picture {name}", split)


def read_captions(path: Path) -> tuple[dict[str, Captions], list[Rejected]]:
    """Captions by folder of their file, and the lines that are of no use.

    Raises:
        HmerError: there is no caption file, or one is not UTF-8.
    """
    captions: dict[str, Captions] = {}
    refused = []
    for member in read_members(path, "/" + _CAPTIONS, _PARAMETER):
        try:
            lines = member.data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise HmerError(f"{_PARAMETER}: {member.name} is not UTF-8 ({error.reason})") from None
        found = captions.setdefault(str(PurePosixPath(member.name).parent), {})
        for number, line in enumerate(lines, 1):
            name, *tokens = line.split() or [""]
            if not name:
                continue
            name = _without_suffix(name)
            if not tokens or name in found:
                problem = "names a picture again" if tokens else "has no tokens"
                reason = f"{member.name}, line {number}: {problem}"
                refused.append(Rejected(name, member.name, reason))
                continue
            found[name] = tuple(tokens)
    if not captions:
        raise HmerError(f"{_PARAMETER}: {path} holds no {_CAPTIONS}; is it the data of CoMER?")
    return captions, refused


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in PICTURES else name


def _split_named(folder: str, validation: bool) -> str | None:
    """The split that a folder of this name holds.

    "train" gives "train" where the source has a `validation` folder of its own, else None (cut by
    writer); "test" gives "test-comer"; any other name N gives "test-N".
    """
    plain = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    if plain.startswith("train"):
        return "train" if validation else None
    if plain in _VALIDATION:
        return "val"
    name = plain.removeprefix("test").strip("-")
    return f"test-{name or Comer.name}"
