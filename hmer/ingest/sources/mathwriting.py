"""MathWriting: 230 000 handwritten expressions as InkML, one file each, in a folder per split.

Gervais, Fadeeva, Maksai: MathWriting (2024). The truth is the annotation `normalizedLabel`;
`label` is the formula as it was shown to the writer. Writers are not named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from hmer.errors import HmerError
from hmer.ingest.archive import read_members
from hmer.ingest.sources.base import Source, position
from hmer.ingest.sources.inkml import SUFFIX, ReadInkml

_SPLITS = {"train": "train", "valid": "val", "test": "test-mathwriting"}
_EXTRA = ("symbols", "synthetic")

Extra = Literal["symbols", "synthetic"]


class MathWriting(Source):
    """Where the data are, and which parts to take."""

    name = "mathwriting"

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

    def paths(self) -> Iterator[str]:
        """The one folder or package."""
        yield self.path

    def items(self, seed: int) -> Iterator[ReadInkml]:
        """One task per file of the wanted folders; the seed plays no part.

        Raises:
            HmerError: the path cannot be read, or has no folder `train`.
        """
        splits = _SPLITS | dict.fromkeys(self.extra, "train")
        found = False
        for member in read_members(Path(self.path), SUFFIX, "ingest.mathwriting.path"):
            file = PurePosixPath(member.name)
            folder, id = file.parent.name, file.stem  # a hexadecimal number, unique in the release
            split = splits.get(folder)
            if split is None:
                continue
            found = True
            if split != "train" or position(id) < self.share:
                collection = f"{self.name}-{folder}" if folder in _EXTRA else self.name
                yield ReadInkml(
                    member.name,
                    member.data,
                    split,
                    id=id,
                    source=collection,
                    writer=f"{self.name}/{id}",
                )
        if not found:
            folders = ", ".join(splits)
            raise HmerError(
                f"ingest.mathwriting.path: {self.path} has none of the folders {folders}"
            )
