"""Pictures of one's own, with a file of captions: scans, photographs, HME100K.

A picture may be of any size, ink dark on bright or bright on dark, evenly lit or not; it is made
to look like rendered ink at the scale of the dataset (`hmer.ink.picture`, `hmer.ink.deskew`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hmer.data.archive import check_path, count_members
from hmer.data.sources.base import Rejected, Setting, SourceConfig
from hmer.data.sources.labels import Label, read_labels
from hmer.data.sources.pictures import PICTURES, ReadPicture
from hmer.data.spread import spread

TestName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Labelled(BaseModel):
    """Pictures and the captions that belong to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str = Field(description="folder or package of pictures")
    captions: str = Field(description=".csv, .tsv, .txt or .jsonl with pictures' names and LaTeX")


class ImagesConfig(SourceConfig):
    """Where the pictures are."""

    train: Labelled = Labelled(images="data/raw/images", captions="data/raw/captions.csv")
    val: Labelled | None = Field(
        default=None, description="validation set; without one it is cut from train by writer"
    )
    tests: dict[TestName, Labelled] = Field(
        default_factory=dict, description='test sets by name: "own" becomes the split "test-own"'
    )
    deskew: bool = Field(default=True, description="turn writing level that was photographed askew")
    limit: int | None = Field(
        default=None, ge=1, description="take only so many of each, spread evenly"
    )

    def open(self, setting: Setting) -> ImagesSource:
        """The source over these pictures."""
        return ImagesSource(self, setting)

    def paths(self) -> Iterator[str]:
        """Pictures and captions of every part."""
        for part, _ in self.parts():
            yield from (part.images, part.captions)

    def parts(self) -> Iterator[tuple[Labelled, str]]:
        """Each part with the name of its parameter."""
        yield self.train, "train"
        if self.val is not None:
            yield self.val, "val"
        for name, part in sorted(self.tests.items()):
            yield part, f"tests.{name}"


@dataclass(frozen=True, slots=True)
class ImagesSource:
    """All pictures of train, of val, and of each test set; after each, captions without one."""

    config: ImagesConfig
    setting: Setting
    parameter: str = "ingest.images"

    name = "images"

    @property
    def total(self) -> int | None:
        """How many pictures there are, if that can be told without reading them."""
        counts = [count_members(Path(part.images), PICTURES) for part, _ in self.config.parts()]
        if None in counts:
            return None
        limit = self.config.limit
        return sum(min(n, limit) if limit else n for n in counts if n is not None)

    def items(self, seed: int) -> Iterator[ReadPicture | Rejected]:
        """One task per picture with a caption; the seed plays no part.

        Raises:
            HmerError: pictures or captions are missing or cannot be read.
        """
        # A wrong path should be told before an hour's work on the right ones.
        for part, name in self.config.parts():
            check_path(Path(part.images), f"{self.parameter}.{name}.images")
            next(read_labels(Path(part.captions), f"{self.parameter}.{name}.captions"), None)
        for part, name in self.config.parts():
            yield from self._part(part, name)

    def _part(self, part: Labelled, name: str) -> Iterator[ReadPicture | Rejected]:
        split = self._split(name)
        file = PurePosixPath(part.captions).name
        labels: dict[str, Label] = {}
        for label in read_labels(Path(part.captions), f"{self.parameter}.{name}.captions"):
            key = _plain(label.file)
            problem = label.problem or (f"{label.file} is named again" if key in labels else "")
            if problem:
                yield Rejected(key or file, file, f"{file}: {problem}", split)
            else:
                labels[key] = label
        parameter = f"{self.parameter}.{name}.images"
        for member in spread(Path(part.images), PICTURES, parameter, self.config.limit):
            inner = PurePosixPath(member.name)
            inner = inner.relative_to(inner.parts[0]) if len(inner.parts) > 1 else inner
            known = next((k for k in _keys(inner) if k in labels), None)
            if known is None:
                reason = f"{member.name}: no line of {file} names it, or it is there twice"
                yield Rejected(str(inner), member.name, reason, split)
                continue
            label = labels.pop(known)
            yield ReadPicture(
                id=str(inner.with_suffix("")),
                source=self.name,
                writer=label.writer or f"{self.name}/{inner.with_suffix('')}",
                latex=label.latex,
                split=split,
                file=member.name,
                data=member.data,
                render=self.setting.render,
                deskew=self.config.deskew,
            )
        if self.config.limit is None:
            for label in labels.values():
                reason = f"{file}: there is no picture {label.file}"
                yield Rejected(_plain(label.file), file, reason, split)

    def _split(self, name: str) -> str | None:
        if name == "train":
            return None if self.config.val is None else "train"
        return "val" if name == "val" else f"test-{name.removeprefix('tests.')}"


def _plain(file: str) -> str:
    """A picture as captions name it, in one spelling; never used to open a file."""
    return file.replace("\\", "/").removeprefix("./")


def _keys(inner: PurePosixPath) -> Iterator[str]:
    """What captions may call a picture: with or without folders, with or without its ending."""
    for path in (inner, PurePosixPath(inner.name)):
        yield from (str(path), str(path.with_suffix("")))
