"""A caption as presentation MathML in which every symbol has a name of its own.

The names tie trace groups to symbols in InkML, as in the files of CROHME; `hmer.latex.mathml`
reads the elements back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

from hmer.latex.commands import PARTS, ROOT, split_children
from hmer.latex.parse import parse
from hmer.latex.tree import Node, Relation, Row
from hmer.synthesis.structure.spots import Spots, spots

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
