"""Output of written expressions as InkML with presentation MathML, as CROHME has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, tostring

import numpy as np

from hmer.errors import HmerError
from hmer.ingest.alignment import place_symbols
from hmer.ink.inkml import InkDocument, read_inkml, write_inkml
from hmer.latex.dialect import normalise
from hmer.latex.tree import PARTS, ROOT, Node, Relation, Row, parse, split_children
from hmer.synthesis.base import Written
from hmer.synthesis.indexed_tree import Spots, spots

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_FRACTION = "\\frac"
_BUILT = frozenset((_FRACTION, ROOT))
_SCRIPTS = {
    (Relation.SUB,): "msub",
    (Relation.SUP,): "msup",
    (Relation.SUB, Relation.SUP): "msubsup",
    (Relation.BELOW,): "munder",
    (Relation.ABOVE,): "mover",
    (Relation.BELOW, Relation.ABOVE): "munderover",
}


@dataclass(frozen=True, slots=True)
class NamedMath:
    """An expression as MathML.

    Attributes:
        xml: the element `math`.
        names: the `xml:id` of each symbol, by the symbol's place in the caption.
    """

    xml: str
    names: dict[int, str]


def to_mathml(tokens: Sequence[str]) -> NamedMath | None:
    r"""The expression that a caption spells; None where it has an accent or `\binom`.

    Accents have no sign of their own in a caption, and MathML has no bar for `\binom` to name.

    Raises:
        LatexError: the caption cannot be parsed.
    """
    row = parse(tokens)
    places = list(_places(spots(row)))
    if any(tokens[place] in PARTS and tokens[place] not in _BUILT for place in places):
        return None
    builder = _Builder(iter(places))
    math = Element(_tag("math"))
    math.append(builder.row(row))
    xml = tostring(math, encoding="unicode")
    return NamedMath(xml, {place: name_of(place) for place in places})


def name_of(place: int) -> str:
    """What the symbol at this place of the caption is called."""
    return f"s{place}"


class _Builder:
    """Elements of a tree; `places` are those of its symbols, in the order of the tree."""

    def __init__(self, places: Iterator[int]) -> None:
        self.places = places

    def row(self, row: Row) -> Element:
        """One element, whatever the length of the row."""
        elements = [self.node(node) for node in row]
        if len(elements) == 1:
            return elements[0]
        holder = Element(_tag("mrow"))
        holder.extend(elements)
        return holder

    def node(self, node: Node) -> Element:
        """A symbol with all that hangs on it."""
        parts, scripts = split_children(node)
        core = self.core(node.token, parts)
        if not scripts:
            return core
        rows = {relation: self.row(row) for relation, row in scripts}
        order = next(order for order in _SCRIPTS if set(order) == set(rows))
        element = Element(_tag(_SCRIPTS[order]))
        element.extend([core, *(rows[relation] for relation in order)])
        return element

    def core(self, token: str, parts: Sequence[tuple[Relation, Row]]) -> Element:
        """A symbol without its scripts; for a bare group what it holds."""
        if not token:
            return self.row(parts[0][1]) if parts else Element(_tag("mrow"))
        name = {_XML_ID: name_of(next(self.places))}
        if token not in _BUILT:
            leaf = Element(_tag(_leaf(token)), name)
            leaf.text = token
            return leaf
        rows = [self.row(row) for _, row in parts]
        if token == _FRACTION:
            element = Element(_tag("mfrac"), name)
        else:
            element = Element(_tag("mroot" if len(rows) > 1 else "msqrt"), name)
            rows.reverse()  # MathML has the index after the radicand
        element.extend(rows)
        return element


def _leaf(token: str) -> str:
    """The element for a symbol without parts: number, identifier or operator."""
    if token.isdigit():
        return "mn"
    return "mi" if token.removeprefix("\\").isalpha() else "mo"


def _places(row: Spots) -> Iterator[int]:
    for spot in row:
        if spot.place is not None:
            yield spot.place
        for _, below in spot.children:
            yield from _places(below)


def _tag(kind: str) -> str:
    return f"{{{_NAMESPACE}}}{kind}"


STEPS = 1000
"""Device units per symbol unit: coordinates are whole numbers, as those of a tablet."""


def to_inkml(written: Written, writer: str, name: str = "") -> bytes:
    """The expression with LaTeX, MathML, and for every symbol a trace group that names it.

    Args:
        written: the expression.
        writer: who is said to have written it.
        name: identifies the recording.
    """
    math = to_mathml(written.tokens)
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
