r"""Captions as people type them: `\frac{a}{b}`, `x^2`."""

from __future__ import annotations

from collections.abc import Sequence

from hmer.latex.tree import COMMANDS, INKLESS, LIMITS, MATRIX, SCRIPTS

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
        space = _binary(tokens, number) or (_binary(tokens, number - 1) and token not in "}])")
        # `\alpha x`, `\sin 2x`: a letter would be taken for part of the command.
        word = before[:1] == "\\" and before[1:].isalpha()
        space = space or (word and token[:1].isalnum())
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
