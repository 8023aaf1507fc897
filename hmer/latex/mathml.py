r"""Presentation MathML to a structure tree, with the `xml:id` of everything that is written.

As in the truths of InkML files: `mi`, `mn` and `mo` are symbols, fractions and radicals carry the
identifier of their bar or sign, and rows are nested any way the annotator's tool liked. Text in
leaves is LaTeX (`\pi`, `\lt`), a sign, or the name of a function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hmer.errors import LatexError
from hmer.latex.reader import read, shorten
from hmer.latex.tree import (
    CELL,
    COMMANDS,
    LIMITS,
    LINE,
    MATRIX,
    MAX_DEPTH,
    ROOT,
    Node,
    Relation,
    Row,
    grounded,
    split_children,
    symbols,
)
from hmer.latex.typed import SCRIPTED, XML_ID
from hmer.latex.vocabulary import vocabulary

_MAX_CHARACTERS = 1_000_000
_MAX_ELEMENTS = 64 * MAX_DEPTH  # nesting of elements: rows in rows are no nesting of the expression

_ROWS = frozenset(("math", "mrow", "mstyle", "mpadded", "merror", "semantics"))
_LEAVES = frozenset(("mi", "mn", "mo", "mtext", "ms"))
_BLANK = frozenset(("mspace", "mphantom", "none", "annotation", "annotation-xml"))


@dataclass(frozen=True, slots=True)
class MathTree:
    """An expression and what its symbols are called.

    Attributes:
        row: the structure.
        ids: the `xml:id` of every symbol, in the order of `hmer.latex.tree.walk`, groups (nodes
            without a token) left out; "" where a symbol has none of its own.
    """

    row: Row
    ids: tuple[str, ...]


def read_mathml(xml: str, name: str) -> MathTree:
    """Read an expression.

    Args:
        xml: an element `math`, or any presentation element.
        name: what is read, for error messages.

    Raises:
        LatexError: not well-formed, too long or deep, an element that is not supported, or one
            with too few or too many children.
    """
    if len(xml) > _MAX_CHARACTERS:
        raise LatexError(f"{name}: MathML of {len(xml)} characters, at most {_MAX_CHARACTERS}")
    try:
        root = fromstring(xml)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise LatexError(f"{name}: the MathML cannot be read ({error})") from error
    if _height(root) > _MAX_ELEMENTS:
        raise LatexError(f"{name}: MathML nested deeper than {_MAX_ELEMENTS} elements")
    return _Reader(name).element(root, 0)


def _height(root: ElementTree.Element) -> int:
    """Levels of elements, counted without recursion."""
    height, level = 0, [root]
    while level:
        height += 1
        level = [child for element in level for child in element]
    return height


class _Reader:
    """Recursive descent; `depth` counts levels of the expression, not of the elements."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, reason: str) -> LatexError:
        return LatexError(f"{self.name}: MathML: {reason}")

    def element(self, element: ElementTree.Element, depth: int) -> MathTree:
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        kind = _local(element)
        if kind in _LEAVES:
            return self.leaf(element)
        if kind in _BLANK or not kind:
            return MathTree((), ())
        children = [child for child in element if _local(child)]
        if kind in _ROWS:
            return self.row(children, depth)
        if kind in SCRIPTED:
            base, *scripts = self.exactly(element, children, 1 + len(SCRIPTED[kind]), depth)
            return _scripted(base, list(zip(SCRIPTED[kind], scripts, strict=True)))
        if kind == "mfrac":
            over, under = self.exactly(element, children, 2, depth)
            return _built(element, "\\frac", [(Relation.ABOVE, over), (Relation.BELOW, under)])
        if kind == "msqrt":
            return _built(element, ROOT, [(Relation.INSIDE, self.row(children, depth + 1))])
        if kind == "mroot":
            inside, index = self.exactly(element, children, 2, depth)
            return _built(element, ROOT, [(Relation.INDEX, index), (Relation.INSIDE, inside)])
        if kind == "mtable":
            return self.table(children, depth)
        raise self.fail(f"<{shorten(kind)}> is not supported")

    def table(self, lines: list[ElementTree.Element], depth: int) -> MathTree:
        """A matrix."""
        nodes: list[Node] = []
        ids: list[str] = []
        if not lines:
            raise self.fail("<mtable> has no lines")
        for number, line in enumerate(lines):
            if _local(line) != "mtr":
                raise self.fail(f"<mtable> has <{shorten(_local(line))}> in place of <mtr>")
            nodes += [Node(LINE)] if number else []
            for at, cell in enumerate(child for child in line if _local(child)):
                nodes += [Node(CELL)] if at else []
                found = self.row(list(cell) if _local(cell) == "mtd" else [cell], depth + 1)
                nodes.extend(map(grounded, found.row) if nodes else found.row)
                ids.extend(found.ids)
        row = (Node(MATRIX, ((Relation.INSIDE, tuple(nodes)),)),)
        return MathTree(row, tuple(ids))

    def row(self, children: list[ElementTree.Element], depth: int) -> MathTree:
        """Elements side by side; a script without base stays a symbol of its own."""
        nodes: list[Node] = []
        ids: list[str] = []
        left = children[::-1]
        while left:  # rows in rows are one row, however deep they are nested
            child = left.pop()
            if _local(child) in _ROWS:
                left.extend(reversed(child))
                continue
            found = self.element(child, depth)
            nodes.extend(map(grounded, found.row) if nodes else found.row)
            ids.extend(found.ids)
        return MathTree(tuple(nodes), tuple(ids))

    def exactly(
        self,
        element: ElementTree.Element,
        children: list[ElementTree.Element],
        number: int,
        depth: int,
    ) -> list[MathTree]:
        if len(children) != number:
            raise self.fail(f"<{_local(element)}> has {len(children)} children, not {number}")
        return [self.element(child, depth + 1) for child in children]

    def leaf(self, element: ElementTree.Element) -> MathTree:
        """What the text says; of several symbols under one identifier none owns it."""
        text = "".join(element.itertext()).strip()
        try:
            row = read_leaf(text)
        except LatexError as error:
            raise self.fail(f"the symbol {shorten(text)!r} cannot be read ({error})") from error
        count = len(symbols(row))
        return MathTree(row, (_identifier(element),) if count == 1 else ("",) * count)


def read_leaf(text: str) -> Row:
    """What one leaf writes: a name (`pi`), a sign, or LaTeX; of a number, digit by digit.

    Raises:
        LatexError: the text has no reading.
    """
    if text in _names() or text in ("{", "}"):
        return (Node(f"\\{text}"),)
    return (Node("\\ldots"),) if text == "..." else read(text)


def _scripted(base: MathTree, scripts: list[tuple[Relation, MathTree]]) -> MathTree:
    """`base` with scripts on its last symbol, or on all of it where that symbol has such a one."""
    ids = (*base.ids, *(name for _, script in scripts for name in script.ids))
    children = tuple((relation, script.row) for relation, script in scripts if script.row)
    if not children:
        return MathTree(base.row, ids)
    if not base.row:
        return MathTree((Node("", children),), ids)
    *before, last = base.row
    # A command's parts are no scripts, and limits and scripts on one symbol have no spelling.
    if split_children(last)[1]:
        return MathTree((Node("", ((Relation.INSIDE, base.row), *children)),), ids)
    return MathTree((*before, Node(last.token, last.children + children)), ids)


def _built(
    element: ElementTree.Element, token: str, parts: list[tuple[Relation, MathTree]]
) -> MathTree:
    """A symbol that stands over, under or around others."""
    row = (Node(token, tuple((relation, part.row) for relation, part in parts)),)
    return MathTree(row, (_identifier(element), *(name for _, part in parts for name in part.ids)))


@cache
def _names() -> frozenset[str]:
    """Words that mean a symbol where they stand alone (`pi`, `sum`, `cos`), not their letters."""
    tokens = vocabulary("wap").tokens
    named = (token for token in tokens if token not in COMMANDS and token != LIMITS)
    return frozenset(token[1:] for token in named if token[0] == "\\" and len(token) > 2)


def _identifier(element: ElementTree.Element) -> str:
    return element.get(XML_ID) or element.get("id") or ""


def _local(element: ElementTree.Element) -> str:
    """The element's name without its namespace; "" for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
