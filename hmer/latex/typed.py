r"""Captions as people type them (`\frac{a}{b}`, `x^2`), and as MathML for display."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from xml.etree.ElementTree import Element, SubElement, tostring

from hmer.errors import LatexError
from hmer.latex.spellings import FUNCTIONS
from hmer.latex.tree import LIMITS, PARTS, SCRIPTS, Node, Relation, Row, parse, split_children

_SPACED = frozenset("= < > + -".split()) | frozenset(
    r"\leq \geq \neq \in \pm \times \div \cdot \rightarrow \subset".split()
)


def compact(tokens: Sequence[str]) -> str:
    r"""LaTeX with no more blanks and braces than a person would type; it says the same.

    Blanks stand where a command would run into a letter, and around relations and between terms.
    """
    found: list[str] = []
    tokens = _unbraced(list(tokens))
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
            if inner not in ("{", "}", LIMITS, *SCRIPTS) and inner not in PARTS:
                found.append(inner)
                at += 4
                continue
        at += 1
    return found


_SIGNS = {
    r"\cdot": "⋅", r"\cdots": "⋯", r"\ldots": "…", r"\div": "÷", r"\times": "×", r"\pm": "±",
    r"\leq": "≤", r"\geq": "≥", r"\neq": "≠", r"\in": "∈", r"\exists": "∃", r"\forall": "∀",
    r"\infty": "∞", r"\int": "∫", r"\sum": "∑", r"\prime": "′", r"\rightarrow": "→",
    r"\{": "{", r"\}": "}", "-": "−", "'": "′", r"\partial": "∂", r"\nabla": "∇", r"\prod": "∏",
    r"\subset": "⊂", r"\cup": "∪", r"\cap": "∩", r"\mp": "∓", r"\approx": "≈", r"\equiv": "≡",
}  # fmt: skip
_ACCENTS = {
    r"\bar": "¯", r"\overline": "¯", r"\underline": "_", r"\vec": "→", r"\hat": "^",
    r"\widehat": "^", r"\tilde": "~", r"\widetilde": "~", r"\dot": "˙", r"\ddot": "¨",
    r"\check": "ˇ", r"\overrightarrow": "→", r"\overleftarrow": "←", r"\overbrace": "⏞",
    r"\underbrace": "⏟",
}  # fmt: skip
_LARGE = frozenset((r"\int", r"\sum", r"\lim", r"\prod"))
_SCRIPTED = {
    (Relation.SUB,): "msub",
    (Relation.SUP,): "msup",
    (Relation.SUB, Relation.SUP): "msubsup",
    (Relation.BELOW,): "munder",
    (Relation.ABOVE,): "mover",
    (Relation.BELOW, Relation.ABOVE): "munderover",
}


def mathml(tokens: Sequence[str]) -> str | None:
    """Presentation MathML with the signs of Unicode; None where the tokens cannot be parsed."""
    try:
        row = parse(tokens)
    except LatexError:
        return None
    math = Element("math", {"xmlns": "http://www.w3.org/1998/Math/MathML", "display": "block"})
    math.append(_row(row))
    return tostring(math, encoding="unicode")


def _row(row: Row) -> Element:
    """One element, whatever the length of the row; digits in a row are one number."""
    holder = Element("mrow")
    for node in row:
        number = node.token.isdigit() and not node.children
        last = holder[-1] if len(holder) else None
        if number and last is not None and last.tag == "mn":
            last.text = (last.text or "") + node.token
        elif node.token.isdigit() and last is not None and last.tag == "mn":
            scripted = _node(node)
            base = scripted[0]
            base.text = (last.text or "") + (base.text or "")
            holder.remove(last)
            holder.append(scripted)
        else:
            holder.append(_node(node))
    return holder[0] if len(holder) == 1 else holder


def _node(node: Node) -> Element:
    parts, scripts = split_children(node)
    core = _core(node.token, [row for _, row in parts])
    if not scripts:
        return core
    rows = dict(scripts)
    order = next(order for order in _SCRIPTED if set(order) == set(rows))
    element = Element(_SCRIPTED[order])
    element.extend([core, *(_row(rows[relation]) for relation in order)])
    return element


def _core(token: str, rows: Sequence[Row]) -> Element:
    """A symbol without its scripts."""
    if not token:
        return _row(rows[0]) if rows else Element("mrow")
    if token == r"\frac":
        element = Element("mfrac")
        element.extend(map(_row, rows))
        return element
    if token == r"\binom":
        holder = Element("mrow")
        SubElement(holder, "mo").text = "("
        SubElement(holder, "mfrac", {"linethickness": "0"}).extend(map(_row, rows))
        SubElement(holder, "mo").text = ")"
        return holder
    if token == r"\sqrt":
        element = Element("mroot" if len(rows) > 1 else "msqrt")
        element.extend(map(_row, reversed(rows)))  # MathML has the index after the radicand
        return element
    if token in _ACCENTS:
        under = token in (r"\underline", r"\underbrace")
        element = Element("munder") if under else Element("mover", {"accent": "true"})
        element.append(_row(rows[0]))
        SubElement(element, "mo").text = _ACCENTS[token]
        return element
    if rows:  # an alphabet, a box
        return _row(rows[0])
    leaf = Element(_leaf(token))
    leaf.text = sign(token)
    return leaf


def _leaf(token: str) -> str:
    """The element for a symbol without parts: number, identifier or operator."""
    if token.isdigit():
        return "mn"
    shown = sign(token)
    return "mi" if shown.isalpha() or token == r"\infty" else "mo"


@cache
def sign(token: str) -> str:
    """The character, or the name of a function, that a token shows."""
    if token in _SIGNS:
        return _SIGNS[token]
    name = token.removeprefix("\\")
    if token in FUNCTIONS.values() or name == token:
        return name
    case = "CAPITAL" if name[:1].isupper() else "SMALL"
    spelled = {"LAMBDA": "LAMDA", "VAREPSILON": "EPSILON", "VARPHI": "PHI"}.get(
        name.upper(), name.upper()
    )
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {spelled}")
    except KeyError:
        return name
