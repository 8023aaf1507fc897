"""The `data.zip` of BTTR, CoMER, ICAL, PosFormer, TAMER and others: pictures with captions.

One folder per split (`train`, `2014`, `2016`, `2019`, ...), in it `caption.txt` with a name and
its tokens on each line, blanks between, and a picture per name, in `img/` or beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field

from hmer.errors import HmerError
from hmer.ingest.archive import check_path, count_members, read_members, spread
from hmer.ingest.sources.base import Rejected, Setting, SourceConfig
from hmer.ingest.sources.crohme import writer_of
from hmer.ingest.sources.pictures import VALIDATION_NAMES, ReadPicture, split_named
from hmer.ink.raster import PICTURES

_CAPTIONS = "caption.txt"

Captions = dict[str, tuple[str, ...]]
"""Tokens by name of the picture."""


class ComerConfig(SourceConfig):
    """Where the data are, and what to make of the captions."""

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

    def open(self, setting: Setting) -> ComerSource:
        """The source over these pictures."""
        return ComerSource(self, setting)

    def paths(self) -> Iterator[str]:
        """The one folder or package."""
        yield self.path


@dataclass(frozen=True, slots=True)
class ComerSource:
    """All pictures in the order of the package, then the captions without a picture."""

    config: ComerConfig
    setting: Setting
    parameter: str = "ingest.comer.path"

    name = "comer"

    @property
    def total(self) -> int | None:
        """How many pictures there are, if that can be told without reading them."""
        return count_members([Path(self.config.path)], PICTURES, self.config.limit)

    def items(self, seed: int) -> Iterator[ReadPicture | Rejected]:
        """One task per picture with a caption; the seed plays no part.

        Raises:
            HmerError: the path cannot be read, or there are no captions or no pictures.
        """
        path = Path(self.config.path)
        check_path(path, self.parameter)
        captions, refused = read_captions(path, self.parameter)
        yield from refused
        validation = any(PurePosixPath(folder).name in VALIDATION_NAMES for folder in captions)
        found = 0
        for member in spread(path, PICTURES, self.parameter, self.config.limit):
            found += 1
            file = PurePosixPath(member.name)
            folder = next((str(p) for p in file.parents if str(p) in captions), "")
            # The WAP release adds a channel number to the names of its pictures.
            names = (file.stem, file.stem.removesuffix("_0"))
            name = next((n for n in names if n in captions.get(folder, ())), None)
            split = split_named(PurePosixPath(folder).name, self.name, validation)
            if name is None:
                reason = f"{member.name}: no line of a {_CAPTIONS} names it, or it is there twice"
                yield Rejected(file.stem, member.name, reason, split if folder else None)
                continue
            tokens = captions[folder].pop(name)
            yield ReadPicture(
                id=name,
                source=self.name,
                writer=writer_of(name, self.name),
                latex=" ".join(tokens),
                tokens=None if self.config.respell else tokens,
                split=split,
                file=member.name,
                data=member.data,
                render=self.setting.render,
            )
        if not found:
            raise HmerError(
                f"{self.parameter}: {path} holds captions but no pictures (images.pkl is not read: "
                "opening a pickle runs code); take the form with a picture file per expression"
            )
        if self.config.limit is None:
            yield from _unmet(captions, self.name, validation)


def read_captions(path: Path, parameter: str) -> tuple[dict[str, Captions], list[Rejected]]:
    """Captions by folder of their file, and the lines that are of no use.

    Raises:
        HmerError: there is no caption file, or one is not UTF-8.
    """
    captions: dict[str, Captions] = {}
    refused = []
    for member in read_members(path, "/" + _CAPTIONS, parameter):
        try:
            lines = member.data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise HmerError(f"{parameter}: {member.name} is not UTF-8 ({error.reason})") from None
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
        raise HmerError(f"{parameter}: {path} holds no {_CAPTIONS}; is it the data of CoMER?")
    return captions, refused


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in PICTURES else name


def _unmet(captions: dict[str, Captions], source: str, validation: bool) -> Iterator[Rejected]:
    for folder, left in captions.items():
        split = split_named(PurePosixPath(folder).name, source, validation)
        for name in left:
            file = f"{folder}/{_CAPTIONS}"
            yield Rejected(name, file, f"{file}: there is no picture {name}", split)
