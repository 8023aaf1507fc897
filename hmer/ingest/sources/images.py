"""Pictures of one's own, with a file of captions: scans, photographs, HME100K.

A picture may be of any size, ink dark on bright or bright on dark, evenly lit or not; it is made
to look like rendered ink at the scale of the dataset (`hmer.ink.picture`, `hmer.ink.deskew`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hmer.errors import HmerError
from hmer.ingest.archive import check_path, count_members, spread
from hmer.ingest.sources.base import Rejected, Source, SourceItem, position
from hmer.ingest.sources.labels import Label, Name, Names, read_labels, split_name
from hmer.ink.raster import PICTURES

_PARAMETER = "ingest.images"

TestName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Labelled(BaseModel):
    """Pictures and the captions that belong to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str = Field(description="folder or package of pictures")
    captions: str = Field(
        description=".csv, .tsv, .txt, .json or .jsonl with pictures' names, LaTeX"
    )


class Images(Source):
    """Where the pictures are."""

    name = "images"

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

    @property
    def total(self) -> int | None:
        """How many pictures there are, if that can be told without reading them."""
        paths = (Path(part.images) for part, _ in self.parts())
        return count_members(paths, PICTURES, self.limit)

    def items(self, seed: int) -> Iterator[SourceItem | Rejected]:
        """All pictures of train, of val, and of each test set; after each, captions without one.

        Raises:
            HmerError: pictures or captions are missing or cannot be read.
        """
        # A wrong path should be told before an hour's work on the right ones.
        for part, name in self.parts():
            check_path(Path(part.images), f"{_PARAMETER}.{name}.images")
            parameter = f"{_PARAMETER}.{name}.captions"
            if next(read_labels(Path(part.captions), parameter), None) is None:
                raise HmerError(
                    f"{parameter}: {part.captions} holds no captions; write a line each"
                )
        for part, name in self.parts():
            yield from self._part(part, name)

    def _part(self, part: Labelled, name: str) -> Iterator[SourceItem | Rejected]:
        split = self._split(name)
        file = PurePosixPath(part.captions).name
        labels: dict[Name, Label] = {}  # no name ever opens a file
        for label in read_labels(Path(part.captions), f"{_PARAMETER}.{name}.captions"):
            key = split_name(label.file, PICTURES)
            if label.file and key not in labels:
                labels[key] = label
                continue
            problem = f"{label.file} is named again" if label.file else label.problem
            yield Rejected(label.file or file, file, f"{file}: {problem}", split)
        names = Names(labels)
        parameter = f"{_PARAMETER}.{name}.images"
        top = ""  # the folder around all, as a rule; a package may have several
        for member in spread(Path(part.images), PICTURES, parameter, self.limit):
            inner = PurePosixPath(member.name)
            top = top or inner.parts[0]
            inner = inner.relative_to(top) if inner.parts[0] == top != inner.name else inner
            best = names.fitting(split_name(member.name, PICTURES))
            taken = labels.pop(best[0], None) if len(best) == 1 else None
            if taken is None or taken.problem:
                problem = taken.problem if taken else _nameless(len(best))
                yield Rejected(str(inner), member.name, f"{member.name}: {file}: {problem}", split)
                continue
            writer = taken.writer or f"{self.name}/{inner.with_suffix('')}"
            yield SourceItem(
                id=str(inner.with_suffix("")),
                source=self.name,
                writer=writer,
                latex=taken.latex,
                split=self._cut(writer) if name == "train" else split,
                data=member.data,
                deskew=self.deskew,
                file=member.name,
            )
        for label in labels.values() if self.limit is None else ():
            problem = label.problem or f"a line of {file} names it, but there is no such picture"
            yield Rejected(label.file, file, f"{label.file}: {problem}", split)

    def _split(self, name: str) -> str | None:
        if name == "train":
            return None if self.val is None else "train"
        return "val" if name == "val" else f"test-{name.removeprefix('tests.')}"

    def _cut(self, writer: str) -> str | None:
        """The split of a writer of the training pictures.

        Validation is cut from the lower end of the same positions (`split_of`), so that a larger
        share of either moves no writer from the one to the other.
        """
        if not self.tests and position(writer) >= 1 - self.test_share:
            return "test-own"
        return self._split("train")


def _nameless(lines: int) -> str:
    """Why a picture has no label, by how many lines may name it."""
    if not lines:
        return "no line names this picture"
    if lines > 1:
        return f"{lines} lines may name this picture, in different folders"
    return "its line names another picture of this name, too; write the folders"
