"""Pictures of handwriting as items: what the sources without strokes have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hmer.errors import InkError
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ink.fit import fit_picture
from hmer.ink.picture import load_picture
from hmer.ink.render import RenderConfig

VALIDATION_NAMES = frozenset({"val", "valid", "validation"})
"""Folders of this name hold the validation set."""


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """Make one picture look like rendered ink; a `Task`.

    Attributes:
        id, source, writer, latex, tokens, split, file: as in `SourceItem`.
        data: the picture file's content.
        render: scale and margin of the result.
        deskew: turn the writing level; pictures that were drawn from ink need not be.
    """

    id: str
    source: str
    writer: str
    latex: str
    file: str
    data: bytes
    render: RenderConfig
    tokens: tuple[str, ...] | None = None
    split: str | None = None
    deskew: bool = False

    @property
    def key(self) -> str:
        """The item's id."""
        return self.id

    def __call__(self) -> SourceItem | Rejected:
        """The labelled picture, or why it was refused."""
        try:
            image = fit_picture(load_picture(self.data), self.render, deskew=self.deskew)
        except InkError as error:
            reason = f"{self.file}: {str(error).removeprefix('picture: ')}"
            return Rejected(self.id, self.file, reason, self.split)
        return SourceItem(
            id=self.id,
            source=self.source,
            writer=self.writer,
            latex=self.latex,
            tokens=self.tokens,
            split=self.split,
            image=image,
            file=self.file,
        )


def split_named(folder: str, source: str, validation: bool) -> str | None:
    """The split that a folder of this name holds.

    "train" gives "train" where the source has a `validation` folder of its own, else None (cut by
    writer); "test" gives "test-<source>"; any other name N gives "test-N".
    """
    plain = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    if plain.startswith("train"):
        return "train" if validation else None
    if plain in VALIDATION_NAMES:
        return "val"
    name = plain.removeprefix("test").strip("-")
    return f"test-{name or source}"
