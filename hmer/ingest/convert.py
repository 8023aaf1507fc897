"""One expression from its source to a row of the dataset, or to the quarantine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hmer.data.schema import Quarantined, Sample
from hmer.errors import InkError, LatexError
from hmer.ingest.sources.base import Rejected, SourceItem, Task, resolve, split_of
from hmer.ink.boxes import symbol_boxes
from hmer.ink.codec import pack, unpack
from hmer.ink.fit import fit_picture
from hmer.ink.images import encode_png
from hmer.ink.picture import load_picture
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise as normalise_ink
from hmer.latex.alignment import place_symbols
from hmer.latex.dialect import normalise as normalise_latex
from hmer.latex.tree import parse
from hmer.latex.vocabulary import UnknownTokens, Vocabulary, vocabulary


@dataclass(frozen=True, slots=True)
class Converted:
    """A row of the dataset or of the quarantine, and the file it was read from.

    Attributes:
        unplaced: why the symbols of a sample could not be matched with the tokens of its caption;
            None if they were, or if no segmentation is known.
        further: as in `SourceItem`.
        unknown: tokens of the caption that the vocabulary lacks, the reason of a refusal.
    """

    file: str
    result: Sample | Quarantined
    unplaced: str | None = None
    further: bool = False
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Converter:
    """What decides how an expression becomes a row; picklable, for worker processes."""

    dialect: str
    val_share: float
    render: RenderConfig
    vocabulary: Vocabulary | None = None
    """Whose tokens captions may have; by default the dialect's."""

    def __call__(self, found: SourceItem | Rejected | Task) -> Converted:
        """Make the row. Whatever is wrong with the expression becomes a quarantine entry."""
        item = resolve(found)
        if isinstance(item, Rejected):
            return _refused(item, item.reason)
        try:
            picture = self._picture(item)
            tokens = self._tokens(item)
            item, unplaced = _placed(item, tokens)
            sample = self._sample(item, tokens, picture)
            return Converted(item.file, sample, unplaced, item.further)
        except (LatexError, InkError) as error:
            unknown = error.tokens if isinstance(error, UnknownTokens) else ()
            return _refused(item, str(error), unknown)

    @property
    def _words(self) -> Vocabulary:
        return self.vocabulary or vocabulary(self.dialect)

    def _tokens(self, item: SourceItem) -> tuple[str, ...]:
        tokens = (
            normalise_latex(item.latex, self.dialect)
            if item.tokens is None
            else self._given(item.tokens)
        )
        if not tokens:
            raise LatexError(f"the truth {item.latex!r} has no tokens")
        self._words.encode(tokens)
        return tuple(tokens)

    def _given(self, tokens: tuple[str, ...]) -> list[str]:
        """Tokens of a caption as they are, or as the reader has them where people wrote them."""
        if not self._words.unknown(tokens):
            with suppress(LatexError):
                parse(tokens)
                return list(tokens)
        return normalise_latex(" ".join(tokens), self.dialect)

    def _picture(self, item: SourceItem) -> NDArray[np.uint8] | None:
        """The picture of an item as if its ink had been rendered; None where it has ink."""
        if item.ink is not None or item.data is None:
            return None
        try:
            return fit_picture(load_picture(item.data), self.render, deskew=item.deskew)
        except InkError as error:
            raise InkError(f"{item.file}: {str(error).removeprefix('picture: ')}") from error

    def _sample(
        self, item: SourceItem, tokens: tuple[str, ...], image: NDArray[np.uint8] | None
    ) -> Sample:
        packed, boxes, strokes = None, None, 0
        if item.ink is not None:
            ink = item.ink if item.normalised else normalise_ink(item.ink)
            packed = pack(ink)
            # What is stored is what is drawn, so that the image can be drawn again from the ink.
            ink = unpack(packed)
            config = self.render
            rendering = render(ink, config.unit, config.pen, config.margin)
            image, strokes = rendering.image, len(ink.strokes)
            boxes = symbol_boxes(ink, rendering) if ink.symbols else None
        if image is None:
            raise InkError(f"{item.id}: there is neither ink nor a picture")
        return Sample(
            id=item.id,
            source=item.source,
            split=item.split or split_of(item.writer, self.val_share),
            writer=item.writer,
            latex=item.latex or " ".join(tokens),
            tokens=tokens,
            image=encode_png(image),
            height=image.shape[0],
            width=image.shape[1],
            strokes=strokes,
            ink=packed,
            symbol_boxes=boxes,
        )


def caption_tokens(found: SourceItem | Rejected | Task, dialect: str) -> tuple[str, ...]:
    """The tokens of the caption of an expression, none where it cannot be read."""
    item = resolve(found)
    if isinstance(item, Rejected):
        return ()
    latex = item.latex if item.tokens is None else " ".join(item.tokens)
    try:
        return tuple(normalise_latex(latex, dialect))
    except LatexError:
        return ()


def _placed(item: SourceItem, tokens: tuple[str, ...]) -> tuple[SourceItem, str | None]:
    """The item with symbols that know their tokens, or why they cannot."""
    ink = item.ink
    if ink is None or not ink.symbols or all(s.place is not None for s in ink.symbols):
        return item, None
    placed = place_symbols(ink, item.symbol_ids, item.mathml, tokens)
    return replace(item, ink=placed.ink), placed.problem


def _refused(item: SourceItem | Rejected, reason: str, unknown: tuple[str, ...] = ()) -> Converted:
    quarantined = Quarantined(item.id, item.file, reason, item.split or "")
    return Converted(item.file, quarantined, unknown=unknown)
