"""Pictures of one's own, with a file of captions: scans, photographs, HME100K.

A picture may be of any size, ink dark on bright or bright on dark, evenly lit or not; it is made
to look like rendered ink at the scale of the dataset (`hmer.ink.picture`, `hmer.ink.deskew`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hmer.errors import HmerError
from hmer.ingest.archive import check_path, count_members, spread
from hmer.ingest.sources.base import Rejected, Setting, SourceConfig, position
from hmer.ingest.sources.labels import Label, Name, Names, read_labels, split_name
from hmer.ingest.sources.pictures import ReadPicture
from hmer.ink.raster import PICTURES

TestName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Labelled(BaseModel):
    """Pictures and the captions that belong to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str = Field(description="folder or package of pictures")
    captions: str = Field(
        description=".csv, .tsv, .txt, .json or .jsonl with pictures' names, LaTeX"
    )


class ImagesConfig(SourceConfig):
    """Where the pictures are."""

    train: Labelled = Labelled(images="data/raw/images", captions="data/raw/captions.csv")
    val: Labelled | None = Field(
        default=None, description="validation set; without one it is cut from train by writer"
    )
    tests: dict[TestName, Labelled] = Field(
        default_factory=dict, description='test sets by name: "own" becomes the split "test-own"'
    )
    test_share: float = Field(
        default=0.1,
        ge=0,
        lt=0.5,
        description='share of writers that become the test set "own" where `tests` names none; '
        "of pictures where no writers are known",
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
        paths = (Path(part.images) for part, _ in self.config.parts())
        return count_members(paths, PICTURES, self.config.limit)

    def items(self, seed: int) -> Iterator[ReadPicture | Rejected]:
        """One task per picture with a caption; the seed plays no part.

        Raises:
            HmerError: pictures or captions are missing or cannot be read.
        """
        # A wrong path should be told before an hour's work on the right ones.
        for part, name in self.config.parts():
            check_path(Path(part.images), f"{self.parameter}.{name}.images")
            parameter = f"{self.parameter}.{name}.captions"
            if next(read_labels(Path(part.captions), parameter), None) is None:
                raise HmerError(
                    f"{parameter}: {part.captions} holds no captions; write a line each"
                )
        for part, name in self.config.parts():
            yield from self._part(part, name)

    def _part(self, part: Labelled, name: str) -> Iterator[ReadPicture | Rejected]:
        split = self._split(name)
        file = PurePosixPath(part.captions).name
        labels = _Labels()
        for label in read_labels(Path(part.captions), f"{self.parameter}.{name}.captions"):
            if problem := labels.add(label):
                yield Rejected(label.file or file, file, f"{file}: {problem}", split)
        labels.all_added()
        parameter = f"{self.parameter}.{name}.images"
        for member in spread(Path(part.images), PICTURES, parameter, self.config.limit):
            inner = PurePosixPath(member.name)
            inner = inner.relative_to(inner.parts[0]) if len(inner.parts) > 1 else inner
            taken, problem = labels.take(member.name)
            if taken is None or problem:
                yield Rejected(str(inner), member.name, f"{member.name}: {file}: {problem}", split)
                continue
            writer = taken.writer or f"{self.name}/{inner.with_suffix('')}"
            yield ReadPicture(
                id=str(inner.with_suffix("")),
                source=self.name,
                writer=writer,
                latex=taken.latex,
                split=self._cut(writer) if name == "train" else split,
                file=member.name,
                data=member.data,
                render=self.setting.render,
                deskew=self.config.deskew,
            )
        if self.config.limit is None:
            for label in labels.left():
                problem = (
                    label.problem or f"a line of {file} names it, but there is no such picture"
                )
                reason = f"{label.file}: {problem}"
                yield Rejected(label.file, file, reason, split)

    def _split(self, name: str) -> str | None:
        if name == "train":
            return None if self.config.val is None else "train"
        return "val" if name == "val" else f"test-{name.removeprefix('tests.')}"

    def _cut(self, writer: str) -> str | None:
        """The split of a writer of the training pictures.

        Validation is cut from the lower end of the same positions (`split_of`), so that a larger
        share of either moves no writer from the one to the other.
        """
        if not self.config.tests and position(writer) >= 1 - self.config.test_share:
            return "test-own"
        return self._split("train")


@dataclass(slots=True)
class _Labels:
    """The labels of a caption file, found by the names of pictures; no name ever opens a file."""

    _by_name: dict[Name, Label] = field(default_factory=dict)
    _names: Names = field(default_factory=lambda: Names(()))

    def add(self, label: Label) -> str:
        """Take a label; the problem where it names no picture, or one again, else ""."""
        if not label.file:
            return label.problem
        key = split_name(label.file, PICTURES)
        if key in self._by_name:
            return f"{label.file} is named again"
        self._by_name[key] = label
        return ""

    def all_added(self) -> None:
        """From now on pictures take them."""
        self._names = Names(self._by_name)

    def take(self, picture: str) -> tuple[Label | None, str]:
        """The label of a picture that has none yet, and what is wrong with it or its name."""
        best = self._names.fitting(split_name(picture, PICTURES))
        if not best:
            return None, "no line names this picture"
        if len(best) > 1:
            return None, f"{len(best)} lines may name this picture, in different folders"
        if best[0] not in self._by_name:
            return None, "its line names another picture of this name, too; write the folders"
        label = self._by_name.pop(best[0])
        return label, label.problem

    def left(self) -> list[Label]:
        """The labels that no picture took."""
        return list(self._by_name.values())
