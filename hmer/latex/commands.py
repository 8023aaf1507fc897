"""What the reader must know about LaTeX commands: which take groups, and what the groups are."""

from __future__ import annotations

from hmer.latex.tree import Node, Relation, Row

LIMITS = "\\limits"
"""Sets the scripts that follow above and below the operator before it."""

MAX_DEPTH = 64
"""Deepest nesting that is read or written; CROHME goes to 9."""

_OVER = (Relation.ABOVE, Relation.BELOW)
_OF_ONE = r"""
    \bar \overline \underline \vec \hat \widehat \tilde \widetilde \dot \ddot \check \overrightarrow
    \overleftarrow \overbrace \underbrace \boxed \xrightarrow \mathbb \mathcal \mathscr \mathfrak
"""

PARTS: dict[str, tuple[Relation, ...]] = {
    "\\frac": _OVER,
    "\\binom": _OVER,
    "\\sqrt": (Relation.INSIDE,),
    **dict.fromkeys(_OF_ONE.split(), (Relation.INSIDE,)),
}
"""Commands that take braced groups, and where each group stands."""

ROOT = "\\sqrt"
"""The one command that takes a bracketed group: its index."""

SCRIPTS = {"^": Relation.SUP, "_": Relation.SUB}
LIMIT_SCRIPTS = {"^": Relation.ABOVE, "_": Relation.BELOW}
"""Script marks, and where the group after each stands: plainly, and after `\\limits`."""


Children = tuple[tuple[Relation, Row], ...]


def split_children(node: Node) -> tuple[Children, Children]:
    """The children of `node` that its command demands, and the scripts after them."""
    expected: tuple[Relation, ...] = PARTS.get(node.token, ())
    relations = tuple(relation for relation, _ in node.children)
    if node.token == "" and relations[:1] == (Relation.INSIDE,):
        expected = (Relation.INSIDE,)
    if node.token == ROOT and relations[:1] == (Relation.INDEX,):
        expected = (Relation.INDEX, *expected)
    return node.children[: len(expected)], node.children[len(expected) :]
