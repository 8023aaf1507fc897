"""InkML files as items: what the sources of ink have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hmer.errors import InkError, LatexError
from hmer.ingest.sources.base import LEFT_OUT, Rejected, SourceItem, position
from hmer.ink.inkml import LABELS, InkDocument, read_inkml
from hmer.latex.mathml import read_mathml
from hmer.latex.tree import serialise

SUFFIX = ".inkml"
NO_LABEL = f"there is no label: no annotation of type {', '.join(LABELS)} with a text"
_CROHME = "crohme"
_DEVELOPMENT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ReadInkml:
    """Parse one file; a `Task`.

    Attributes:
        file, split, data: as in `SourceItem`; of the file itself.
        caption: tokens in place of the file's own truth.
        id: of the item; by default the file's name, which is unique with its folders alone.
        source: collection; by default the folder.
        writer: of a file that does not say; by default what its name tells (`writer_of`).
        development: name of the development set that half of the writers make up.
        further: name of the further training data that it belongs to.
    """

    file: str
    data: bytes
    split: str | None
    caption: tuple[str, ...] | None = None
    id: str = ""
    source: str = ""
    writer: str = ""
    development: str = ""
    further: str = ""

    @property
    def key(self) -> str:
        """What is unique: the file, or the id that was given."""
        return self.id or self.file

    def __call__(self) -> SourceItem | Rejected:
        """The labelled ink, or why it was refused."""
        path = PurePosixPath(self.file)
        id = self.id or path.stem
        collection = self.source or path.parent.name or _CROHME
        try:
            document = read_inkml(self.data, path.name)
            latex = document.latex if self.caption else _truth(document, path.name)
        except (InkError, LatexError) as error:
            return Rejected(id, self.file, str(error), self.split)
        if not latex and self.caption is None:
            return Rejected(id, self.file, f"{path.name}: {NO_LABEL}", self.split)
        writer = document.writer or self.writer or writer_of(path.stem, collection)
        split = self.split
        held_out = bool(self.development) and position(writer) < _DEVELOPMENT_SHARE
        if held_out:
            split = f"dev-{self.development}"
        elif self.development and not self.further:
            split = LEFT_OUT
        added = bool(self.further) and not held_out
        return SourceItem(
            id=f"{self.further}/{id}" if added else id,
            source=f"{_CROHME}-{self.further}" if added else collection,
            writer=writer,
            latex=latex,
            tokens=self.caption,
            split=split,
            further=added,
            ink=document.ink,
            file=self.file,
            mathml=document.mathml,
            symbol_ids=document.symbol_ids,
        )


def _truth(document: InkDocument, name: str) -> str:
    """The LaTeX of a document, else that of its MathML; "" where it has neither.

    Raises:
        LatexError: the MathML cannot be read.
    """
    if document.latex or not document.mathml:
        return document.latex
    return " ".join(serialise(read_mathml(document.mathml, name).row))


def writer_of(stem: str, collection: str) -> str:
    """Who wrote a file that does not say: the session or form in its name, or else the file.

    Most files of MathBrush name no writer; of their numbers (2009210-947-12) the second is the
    nearest thing to one. Files named form003-equation016 come from one sheet of paper.
    """
    found = re.fullmatch(r"\d+-(\d+)-\d+|(form[a-z]*\d+)-equation\d+", stem)
    return f"{collection}-{found[1] or found[2]}" if found else f"{collection}/{stem}"
