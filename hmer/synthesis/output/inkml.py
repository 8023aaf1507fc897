"""Output of written expressions as InkML with presentation MathML, as CROHME has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmer.errors import HmerError
from hmer.ink.inkml import InkDocument, read_inkml, write_inkml
from hmer.latex.alignment import place_symbols
from hmer.latex.dialect import normalise
from hmer.latex.typed import named_mathml
from hmer.synthesis.base import Written

STEPS = 1000
"""Device units per symbol unit: coordinates are whole numbers, as those of a tablet."""


def to_inkml(written: Written, writer: str, name: str = "") -> bytes:
    """The expression with LaTeX, MathML, and for every symbol a trace group that names it.

    Args:
        written: the expression.
        writer: who is said to have written it.
        name: identifies the recording.
    """
    math = named_mathml(written.tokens)
    symbols = sorted(written.ink.symbols, key=lambda symbol: symbol.place or 0)
    names = {} if math is None else math.names
    document = InkDocument(
        replace(written.ink, symbols=tuple(symbols)).mapped(_whole),
        " ".join(written.tokens),
        writer=writer,
        ui=name or None,
        mathml=None if math is None else math.xml,
        symbol_ids=tuple(names.get(-1 if s.place is None else s.place, "") for s in symbols),
    )
    return write_inkml(document)


def contradiction(data: bytes, written: Written, dialect: str = "wap") -> str | None:
    """What a file says otherwise than meant when it is read as any InkML is; None if nothing.

    Args:
        data: what `to_inkml` made of `written`.
        written: the expression.
        dialect: of its caption.
    """
    try:
        document = read_inkml(data, "the file")
        tokens = normalise(document.latex, dialect)
    except HmerError as error:
        return str(error)
    if tokens != written.tokens:
        return "the caption reads otherwise"
    placed = place_symbols(document.ink, document.symbol_ids, document.mathml, tokens)
    if placed.problem is not None:
        return placed.problem
    found = {symbol.place: (symbol.token, symbol.strokes) for symbol in placed.ink.symbols}
    meant = {symbol.place: (symbol.token, symbol.strokes) for symbol in written.ink.symbols}
    if found != meant:
        return "the symbols stand elsewhere"
    same = len(placed.ink.strokes) == len(written.ink.strokes) and all(
        len(one) == len(other) and np.abs(one - other * STEPS).max() <= 0.51
        for one, other in zip(placed.ink.strokes, written.ink.strokes, strict=True)
    )
    return None if same else "the strokes run elsewhere"


def _whole(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(points * np.float32(STEPS)), np.float32)
