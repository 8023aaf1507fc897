"""How far apart hands write neighbouring symbols: by the kind of sign, as TeX does it."""

from __future__ import annotations

from enum import Enum

from hmer.synthesis.glyphs.font import BUILT, WORDS


class Kind(Enum):
    """What a symbol is on its baseline."""

    ORDINARY = "ordinary"
    DIGIT = "digit"
    OPERATOR = "operator"  # named functions and large operators
    BINARY = "binary"
    RELATION = "relation"
    OPEN = "open"
    CLOSE = "close"
    PUNCTUATION = "punctuation"


_KINDS: dict[str, Kind] = {
    **dict.fromkeys("0123456789", Kind.DIGIT),
    **dict.fromkeys((*WORDS, r"\sum", r"\int"), Kind.OPERATOR),
    **dict.fromkeys(("+", "-", r"\times", r"\div", r"\pm", r"\cdot"), Kind.BINARY),
    **dict.fromkeys(("=", "<", ">", r"\leq", r"\geq", r"\neq"), Kind.RELATION),
    **dict.fromkeys((r"\in", r"\rightarrow"), Kind.RELATION),
    **dict.fromkeys(("(", "[", r"\{"), Kind.OPEN),
    **dict.fromkeys((")", "]", r"\}"), Kind.CLOSE),
    **dict.fromkeys((",", ".", r"\ldots", r"\cdots"), Kind.PUNCTUATION),
}
_ABOUT = {Kind.BINARY: 0.22, Kind.RELATION: 0.28}
_NOTHING_BEFORE = (None, Kind.OPEN, Kind.BINARY, Kind.RELATION, Kind.PUNCTUATION)


def kind(token: str) -> Kind:
    """The kind of a symbol; letters, fractions and roots are ordinary."""
    return _KINDS.get(token, Kind.ORDINARY)


def pair(before: str | None, token: str, after: str) -> tuple[str, str]:
    """The kinds of the neighbours `token` and `after`, as habits of spacing distinguish them.

    A sign that is no binary operator (see `gap`) is of the kind "sign"; fractions and radicals are
    "built", the point within a number is "point".
    """
    left: str = _name(token)
    if kind(token) is Kind.BINARY and (before is None or kind(before) in _NOTHING_BEFORE):
        left = "sign"
    return left, _name(after)


def _name(token: str) -> str:
    if token in (*BUILT, ""):
        return "built"
    return "point" if token == "." else kind(token).value


def gap(before: str | None, token: str, after: str) -> float:
    """Blank between the symbols `token` and `after`, in symbol units, for an average hand.

    `before` is what stands left of `token` (None at the start of a row): it tells a sign from a
    binary operator.
    """
    left, right = kind(token), kind(after)
    if left is Kind.DIGIT and right is Kind.DIGIT:
        return 0.13
    if (left is Kind.DIGIT and after == ".") or (token == "." and right is Kind.DIGIT):
        return 0.1
    if left is Kind.BINARY and (before is None or kind(before) in _NOTHING_BEFORE):
        return 0.1
    if left in _ABOUT or right in _ABOUT:
        return max(_ABOUT.get(left, 0.0), _ABOUT.get(right, 0.0))
    if left is Kind.PUNCTUATION:
        return 0.24
    if right is Kind.PUNCTUATION:
        return 0.09
    if left is Kind.OPERATOR or right is Kind.OPERATOR:
        return 0.22
    if left is Kind.OPEN or right in (Kind.OPEN, Kind.CLOSE):
        return 0.1
    return 0.14
