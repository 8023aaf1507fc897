"""MathWriting: 230 000 handwritten expressions as InkML, one file each, in a folder per split.

Gervais, Fadeeva, Maksai: MathWriting (2024). The truth is the annotation `normalizedLabel`;
`label` is the formula as it was shown to the writer. Writers are not named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from hmer.errors import HmerError, InkError
from hmer.ingest.archive import check_path, read_members
from hmer.ingest.sources.base import Rejected, Setting, SourceConfig, SourceItem, position
from hmer.ingest.sources.crohme import NO_LABEL
from hmer.ink.inkml import read_inkml

_SUFFIX = ".inkml"
_SPLITS = {"train": "train", "valid": "val", "test": "test-mathwriting"}
_EXTRA = ("symbols", "synthetic")

Extra = Literal["symbols", "synthetic"]


class MathWritingConfig(SourceConfig):
    """Where the data are, and which parts to take."""

    path: str = Field(
        default="data/raw/mathwriting-2024.tgz",
        description="folder or package with folders train, valid, test, symbols, synthetic",
    )
    extra: tuple[Extra, ...] = Field(
        default=(), description="train also on single symbols, on synthetic expressions"
    )
    share: float = Field(
        default=1.0, gt=0, le=1, description="share of the training files, chosen by their name"
    )

    def open(self, setting: Setting) -> MathWritingSource:
        """The source over these files."""
        return MathWritingSource(self)

    def paths(self) -> Iterator[str]:
        """The one folder or package."""
        yield self.path


@dataclass(frozen=True, slots=True)
class ReadMathWriting:
    """Parse one file; a `Task`."""

    file: str
    data: bytes
    split: str | None

    @property
    def key(self) -> str:
        """The file's own name, a hexadecimal number unique in the release."""
        return PurePosixPath(self.file).stem

    def __call__(self) -> SourceItem | Rejected:
        """The labelled ink, or why it was refused."""
        path = PurePosixPath(self.file)
        try:
            document = read_inkml(self.data, path.name)
        except InkError as error:
            return Rejected(self.key, self.file, str(error), self.split)
        if not document.latex:
            return Rejected(self.key, self.file, f"{path.name}: {NO_LABEL}", self.split)
        collection = f"mathwriting-{path.parent.name}" if path.parent.name in _EXTRA else ""
        return SourceItem(
            id=self.key,
            source=collection or "mathwriting",
            writer=f"mathwriting/{self.key}",
            latex=document.latex,
            split=self.split,
            ink=document.ink,
            file=self.file,
        )


@dataclass(frozen=True, slots=True)
class MathWritingSource:
    """The files of the wanted folders, in the order of the package."""

    config: MathWritingConfig
    parameter: str = field(default="ingest.mathwriting.path")

    name = "mathwriting"

    @property
    def total(self) -> int | None:
        """Unknown: folders that are not wanted lie between."""
        return None

    def items(self, seed: int) -> Iterator[ReadMathWriting]:
        """One task per file; the seed plays no part.

        Raises:
            HmerError: the path cannot be read, or has no folder `train`.
        """
        path = Path(self.config.path)
        check_path(path, self.parameter)
        splits = _SPLITS | dict.fromkeys(self.config.extra, "train")
        found = False
        for member in read_members(path, _SUFFIX, self.parameter):
            task = ReadMathWriting(
                member.name, member.data, splits.get(PurePosixPath(member.name).parent.name)
            )
            if task.split is None:
                continue
            found = True
            if task.split != "train" or position(task.key) < self.config.share:
                yield task
        if not found:
            folders = ", ".join(splits)
            raise HmerError(f"{self.parameter}: {path} has none of the folders {folders}")
