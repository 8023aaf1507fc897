r"""Captions as people type them (`\frac{a}{b}`, `x^2`), and as MathML for display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from hmer.errors import LatexError
from hmer.latex.spellings import sign
from hmer.latex.tree import (
    COMMANDS,
    INKLESS,
    LIMITS,
    MATRIX,
    ROOT,
    SCRIPTS,
    Node,
    Relation,
    Row,
    cells,
    parse,
    split_children,
    symbols,
    walk,
)

_SPACED = frozenset(("= < > + - & " + "\\\\").split()) | frozenset(
    r"\leq \geq \neq \in \pm \times \div \cdot \rightarrow \subset".split()
)


def compact(tokens: Sequence[str]) -> str:
    r"""LaTeX with no more blanks and braces than a person would type; it says the same.

    Blanks stand where a command would run into a letter, and around relations and between terms.
    """
    found: list[str] = []
    tokens = _unbraced(environments(tokens))
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else ""
        space = token in _SPACED and before not in ("", "{", "[", "(", "^", "_", ",", *_SPACED)
        space = space or (_binary(tokens, number - 1) and token not in "}])")
        # `\alpha x`, `\sin 2x`: a letter would be taken for part of the command.
        space = space or (_is_word(before) and token[:1].isalnum())
        # `x^2 y`: what follows a bare script does not look like a part of it.
        script = number > 1 and tokens[number - 2] in SCRIPTS and before != "{"
        space = space or (script and token[-1:].isalnum())
        if space and found and not found[-1].endswith(" "):
            found.append(" ")
        found.append(token)
    return "".join(found)


def environments(tokens: Sequence[str]) -> list[str]:
    r"""A caption with every `\matrix { ... }` as the environment that LaTeX has for it."""
    found: list[str] = []
    closes: list[str] = []  # what ends each open group
    for token in tokens:
        if token == "{":
            matrix = found[-1:] == [MATRIX]
            closes.append(r"\end{matrix}" if matrix else "}")
            if matrix:
                found[-1] = r"\begin{matrix}"
                continue
        found.append(closes.pop() if token == "}" and closes else token)
    return found


def _binary(tokens: Sequence[str], number: int) -> bool:
    """Whether the token is a sign between two operands: `-x` has none."""
    if number < 1 or tokens[number] not in _SPACED:
        return False
    return tokens[number - 1] not in ("{", "[", "(", "^", "_", ",", *_SPACED)


def _is_word(token: str) -> bool:
    return token.startswith("\\") and token[1:].isalpha()


def _unbraced(tokens: list[str]) -> list[str]:
    """Scripts of one token without their braces: `x^2`."""
    found: list[str] = []
    at = 0
    while at < len(tokens):
        found.append(tokens[at])
        group = tokens[at + 1 : at + 4]
        if tokens[at] in SCRIPTS and len(group) == 3 and (group[0], group[2]) == ("{", "}"):
            inner = group[1]
            if inner not in ("{", "}", LIMITS, *SCRIPTS, *INKLESS) and inner not in COMMANDS:
                found.append(inner)
                at += 4
                continue
        at += 1
    return found


_ALPHABETS = {r"\mathbb": "double-struck", r"\mathcal": "script", r"\mathfrak": "fraktur"}
_ACCENTS = {
    r"\bar": "¯", r"\overline": "¯", r"\underline": "_", r"\vec": "→", r"\hat": "^",
    r"\widehat": "^", r"\tilde": "~", r"\widetilde": "~", r"\dot": "˙", r"\ddot": "¨",
    r"\check": "ˇ", r"\overrightarrow": "→", r"\overleftarrow": "←", r"\overbrace": "⏞",
    r"\underbrace": "⏟", r"\acute": "´", r"\grave": "`", r"\breve": "˘",
}  # fmt: skip
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


_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_FRACTION = "\\frac"


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
