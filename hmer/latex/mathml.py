r"""Presentation MathML: read to a structure tree, and written for display or as a truth.

As in the truths of InkML files, with an `xml:id` for everything that is written: `mi`, `mn` and
`mo` are symbols, fractions and radicals carry the identifier of their bar or sign, and rows are
nested any way the annotator's tool liked. Text in leaves is LaTeX (`\pi`, `\lt`), a sign, or the
name of a function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hmer.errors import LatexError
from hmer.ink.markup import local
from hmer.latex.reader import read, shorten
from hmer.latex.spellings import sign
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
    cells,
    grounded,
    parse,
    split_children,
    symbols,
    walk,
)
from hmer.latex.vocabulary import chosen_vocabulary, vocabulary

_MAX_CHARACTERS = 1_000_000
_MAX_ELEMENTS = 64 * MAX_DEPTH  # nesting of elements: rows in rows are no nesting of the expression

_ROWS = frozenset(("math", "mrow", "mstyle", "mpadded", "merror", "semantics"))
_LEAVES = frozenset(("mi", "mn", "mo", "mtext", "ms"))
_BLANK = frozenset(("mspace", "mphantom", "none", "annotation", "annotation-xml"))
_ALPHABETS = {r"\mathbb": "double-struck", r"\mathcal": "script", r"\mathfrak": "fraktur"}
_ACCENTS = {
    r"\bar": "¯", r"\overline": "¯", r"\underline": "_", r"\vec": "→", r"\hat": "^",
    r"\widehat": "^", r"\tilde": "~", r"\widetilde": "~", r"\dot": "˙", r"\ddot": "¨",
    r"\check": "ˇ", r"\overrightarrow": "→", r"\overleftarrow": "←", r"\overbrace": "⏞",
    r"\underbrace": "⏟", r"\acute": "´", r"\grave": "`", r"\breve": "˘",
}  # fmt: skip
_OVER = {  # the accent over one symbol, and that over several
    **dict.fromkeys("¯‾―-−\u0304\u0305", (r"\bar", r"\overline")),
    **dict.fromkeys("→⃗⟶", (r"\vec", r"\overrightarrow")),
    **dict.fromkeys("^ˆ\u0302", (r"\hat", r"\widehat")),
    **dict.fromkeys("~˜∼\u0303", (r"\tilde", r"\widetilde")),
    **dict.fromkeys("˙.\u0307", (r"\dot",) * 2),
    **dict.fromkeys("¨\u0308", (r"\ddot",) * 2),
    **{sign: (token,) * 2 for token, sign in _ACCENTS.items() if sign in "ˇ←⏞´`˘"},
}
_UNDER = {**dict.fromkeys("_¯‾\u0332", (r"\underline",) * 2), "⏟": (r"\underbrace",) * 2}
_ACCENTED = {"mover": _OVER, "munder": _UNDER}
_VARIANTS = {
    **{variant: token for token, variant in _ALPHABETS.items()},
    "bold-script": r"\mathcal",
    "bold-fraktur": r"\mathfrak",
}
_WRITTEN_SIGNS = {**{one: f"\\{one}" for one in "{}&%#$"}, "\\": r"\backslash", "~": r"\sim",
                  "...": r"\ldots"}  # fmt: skip
_WORDS = frozenset(
    "cot sec csc arcsin arccos arctan sinh cosh tanh ln exp max min sup inf det dim ker gcd arg "
    "deg mod".split()
)
SCRIPTED = {
    "msub": (Relation.SUB,),
    "msup": (Relation.SUP,),
    "msubsup": (Relation.SUB, Relation.SUP),
    "munder": (Relation.BELOW,),
    "mover": (Relation.ABOVE,),
    "munderover": (Relation.BELOW, Relation.ABOVE),
}
"""Elements of presentation MathML for a symbol with scripts, and where those stand, in order."""
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_BARLESS = re.compile(r"0+(\.0*)?\s*[a-z%]*")
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_FRACTION = "\\frac"


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
    for element in root.iter():  # rows hand their alphabet on
        if (variant := element.get("mathvariant")) and local(element) in _ROWS:
            for child in element:
                child.attrib.setdefault("mathvariant", variant)
    return _Reader(name).element(root, 0)


def _height(root: Element) -> int:
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

    def element(self, element: Element, depth: int) -> MathTree:
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        kind = local(element)
        if kind in _LEAVES:
            return self.leaf(element)
        if kind in _BLANK or not kind:
            return MathTree((), ())
        children = [child for child in element if local(child)]
        if kind in _ROWS:
            return self.row(children, depth)
        if kind == "mfenced":
            return self.fenced(element, children, depth)
        accents = _ACCENTED.get(kind, {})
        if len(children) == 2 and (sign := "".join(children[1].itertext()).strip()) in accents:
            base = self.element(children[0], depth + 1)
            token = accents[sign][len(base.row) > 1]
            return _built(children[1], token, [(Relation.INSIDE, base)])
        if kind in SCRIPTED:
            base, *scripts = self.exactly(element, children, 1 + len(SCRIPTED[kind]), depth)
            return _scripted(base, list(zip(SCRIPTED[kind], scripts, strict=True)))
        if kind == "mfrac" and _BARLESS.fullmatch(element.get("linethickness", "")):
            raise self.fail("<mfrac> without a bar is not supported")
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

    def table(self, lines: list[Element], depth: int) -> MathTree:
        """A matrix."""
        nodes: list[Node] = []
        ids: list[str] = []
        if not lines:
            raise self.fail("<mtable> has no lines")
        for number, line in enumerate(lines):
            if local(line) != "mtr":
                raise self.fail(f"<mtable> has <{shorten(local(line))}> in place of <mtr>")
            nodes += [Node(LINE)] if number else []
            for at, cell in enumerate(child for child in line if local(child)):
                nodes += [Node(CELL)] if at else []
                found = self.row(list(cell) if local(cell) == "mtd" else [cell], depth + 1)
                nodes.extend(map(grounded, found.row) if nodes else found.row)
                ids.extend(found.ids)
        row = (Node(MATRIX, ((Relation.INSIDE, tuple(nodes)),)),)
        return MathTree(row, tuple(ids))

    def fenced(self, element: Element, children: list[Element], depth: int) -> MathTree:
        """Elements in brackets, with separators between them."""
        separators = "".join(element.get("separators", ",").split())
        row: list[Element] = []
        for number, child in enumerate(children):
            if number and separators:
                row.append(_sign(separators[min(number, len(separators)) - 1]))
            row.append(child)
        opening, closing = _sign(element.get("open", "(")), _sign(element.get("close", ")"))
        return self.row([opening, *row, closing], depth)

    def row(self, children: list[Element], depth: int) -> MathTree:
        """Elements side by side; a script without base stays a symbol of its own."""
        nodes: list[Node] = []
        ids: list[str] = []
        left = children[::-1]
        while left:  # rows in rows are one row, however deep they are nested
            child = left.pop()
            if local(child) in _ROWS:
                left.extend(reversed(child))
                continue
            found = self.element(child, depth)
            nodes.extend(map(grounded, found.row) if nodes else found.row)
            ids.extend(found.ids)
        return MathTree(tuple(nodes), tuple(ids))

    def exactly(
        self,
        element: Element,
        children: list[Element],
        number: int,
        depth: int,
    ) -> list[MathTree]:
        if len(children) != number:
            raise self.fail(f"<{local(element)}> has {len(children)} children, not {number}")
        return [self.element(child, depth + 1) for child in children]

    def leaf(self, element: Element) -> MathTree:
        """What the text says; of several symbols under one identifier none owns it."""
        text = "".join(element.itertext()).strip()
        variant = _VARIANTS.get(element.get("mathvariant", ""))
        try:
            row = read_leaf(text)
            if variant and row and text.isalpha():
                row = (Node(variant, ((Relation.INSIDE, row),)),)
        except LatexError as error:
            raise self.fail(f"the symbol {shorten(text)!r} cannot be read ({error})") from error
        count = len(symbols(row))
        return MathTree(row, (_identifier(element),) if count == 1 else ("",) * count)


def read_leaf(text: str) -> Row:
    """What one leaf writes: a name (`pi`), a sign, or LaTeX; of a number, digit by digit.

    Raises:
        LatexError: the text has no reading.
    """
    if text in _names():
        return (Node(f"\\{text}"),)
    return (Node(_WRITTEN_SIGNS[text]),) if text in _WRITTEN_SIGNS else read(text)


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


def _built(element: Element, token: str, parts: list[tuple[Relation, MathTree]]) -> MathTree:
    """A symbol that stands over, under or around others."""
    row = (Node(token, tuple((relation, part.row) for relation, part in parts)),)
    return MathTree(row, (_identifier(element), *(name for _, part in parts for name in part.ids)))


@cache
def _names() -> frozenset[str]:
    """Words that mean a symbol where they stand alone (`pi`, `sum`, `cos`), not their letters."""
    tokens = vocabulary("wap").tokens
    named = (token for token in tokens if token not in COMMANDS and token != LIMITS)
    greek = (token for token in chosen_vocabulary("wide", "plain").tokens
             if "\N{GREEK CAPITAL LETTER ALPHA}" <= sign(token) <= "ϵ")  # fmt: skip
    tokens = (*named, *greek)
    return _WORDS | {token[1:] for token in tokens if token[0] == "\\" and len(token) > 2}


def _sign(text: str) -> Element:
    element = Element("mo")
    element.text = text
    return element


def _identifier(element: Element) -> str:
    return element.get(XML_ID) or element.get("id") or ""


def mathml(tokens: Sequence[str]) -> str | None:
    """Presentation MathML with the signs of Unicode; None where the tokens cannot be parsed."""
    try:
        row = parse(tokens)
    except LatexError:
        return None
    math = Element("math", {"xmlns": _NAMESPACE, "display": "block"})
    math.append(_Writer().row(row))
    return tostring(math, encoding="unicode")


@dataclass(frozen=True, slots=True)
class NamedMath:
    """An expression as MathML.

    Attributes:
        xml: the element `math`.
        names: the `xml:id` of each symbol, by the symbol's place in the caption.
    """

    xml: str
    names: dict[int, str]


def named_mathml(tokens: Sequence[str]) -> NamedMath | None:
    r"""As truths of CROHME: LaTeX in the leaves, and an identifier for every symbol.

    None where there is an accent or `\binom`: accents have no sign of their own in a caption, and
    MathML has no bar for `\binom` to name; or a matrix.

    Raises:
        LatexError: the caption cannot be parsed.
    """
    row = parse(tokens)
    written = symbols(row)
    if any(node.token in COMMANDS and node.token not in (_FRACTION, ROOT) for node in walk(row)):
        return None
    math = Element(f"{{{_NAMESPACE}}}math")
    math.append(_NamedWriter().row(row))
    return NamedMath(
        tostring(math, encoding="unicode"), {node.start: _name(node) for node in written}
    )


def _name(node: Node) -> str:
    return f"s{node.start}"


class _Writer:
    """Elements of a tree as a page shows it."""

    def element(self, tag: str, node: Node | None = None) -> Element:
        """An empty element, the sign of `node` if it is one's."""
        return Element(tag)

    def row(self, row: Row) -> Element:
        """One element, whatever the length of the row; digits in a row are one number."""
        holder = self.element("mrow")
        for node in row:
            last = holder[-1] if len(holder) else None
            holder.append(self.node(node))
            if node.token.isdigit() and last is not None and last.tag == "mn":
                number = holder[-1][0] if node.children else holder[-1]
                number.text = (last.text or "") + (number.text or "")
                holder.remove(last)
        return holder[0] if len(holder) == 1 else holder

    def node(self, node: Node) -> Element:
        """A symbol with all that hangs on it."""
        parts, scripts = split_children(node)
        core = self.core(node, [row for _, row in parts])
        if not scripts:
            return core
        rows = dict(scripts)
        tag, order = next(pair for pair in SCRIPTED.items() if set(pair[1]) == set(rows))
        element = self.element(tag)
        element.extend([core, *(self.row(rows[relation]) for relation in order)])
        return element

    def core(self, node: Node, rows: Sequence[Row]) -> Element:
        """A symbol without its scripts; for a bare group what it holds."""
        token = node.token
        if not token:
            return self.row(rows[0]) if rows else self.element("mrow")
        if token == _FRACTION:
            element = self.element("mfrac", node)
            element.extend(map(self.row, rows))
            return element
        if token == r"\binom":
            holder = self.element("mrow")
            SubElement(holder, "mo").text = "("
            SubElement(holder, "mfrac", {"linethickness": "0"}).extend(map(self.row, rows))
            SubElement(holder, "mo").text = ")"
            return holder
        if token == MATRIX:
            table = self.element("mtable")
            for line in cells(rows[0]):
                holder = SubElement(table, self.element("mtr").tag)
                for cell in line:
                    SubElement(holder, self.element("mtd").tag).append(self.row(cell))
            return table
        if token == ROOT:
            element = self.element("mroot" if len(rows) > 1 else "msqrt", node)
            element.extend(map(self.row, reversed(rows)))  # MathML has the index last
            return element
        if token in _ACCENTS:
            under = token in (r"\underline", r"\underbrace")
            element = Element("munder") if under else Element("mover", {"accent": "true"})
            element.append(self.row(rows[0]))
            SubElement(element, "mo").text = _ACCENTS[token]
            return element
        if token in (r"\overset", r"\underset"):
            element = self.element("mover" if token == r"\overset" else "munder")
            element.extend((self.row(rows[1]), self.row(rows[0])))
            return element
        if token in _ALPHABETS:
            element = Element("mstyle", {"mathvariant": _ALPHABETS[token]})
            element.append(self.row(rows[0]))
            return element
        if rows:  # a box
            return self.row(rows[0])
        return self.leaf(node)

    def leaf(self, node: Node) -> Element:
        """A symbol without parts: number, identifier or operator."""
        shown = sign(node.token)
        word = shown.isalpha() or node.token == r"\infty"
        element = self.element("mn" if shown.isdigit() else "mi" if word else "mo", node)
        element.text = shown
        return element


class _NamedWriter(_Writer):
    """Elements of a parsed tree with namespace and identifiers; digits stay symbols each."""

    def element(self, tag: str, node: Node | None = None) -> Element:
        named = {} if node is None else {XML_ID: _name(node)}
        return Element(f"{{{_NAMESPACE}}}{tag}", named)

    def leaf(self, node: Node) -> Element:
        word = node.token.removeprefix("\\").isalpha()
        element = self.element("mn" if node.token.isdigit() else "mi" if word else "mo", node)
        element.text = node.token
        return element
