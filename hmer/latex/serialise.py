"""A structure tree to tokens; the inverse of `hmer.latex.parse.parse`, token for token."""

from __future__ import annotations

from typing import NamedTuple

from hmer.latex.commands import LIMITS, MAX_DEPTH, PARTS, Children, split_children
from hmer.latex.tree import Node, Relation, Row

ROOTLESS = -1
"""Parent of a token that has none: structure (`{ } ^ _`, index brackets), or the first symbol."""

_MARKS = {Relation.SUP: "^", Relation.SUB: "_", Relation.ABOVE: "^", Relation.BELOW: "_"}
_LIMITS = {Relation.ABOVE, Relation.BELOW}


class PlacedToken(NamedTuple):
    r"""A token of a caption and its place in the tree.

    Attributes:
        token: the LaTeX token.
        path: relations from the outermost row to the row in which the token stands; structure
            stands in the row of its base, and a group that only groups is no row of its own.
        parent: number of the token it hangs on: the previous symbol of its row, or for the first
            of a row the symbol that carries the row; `ROOTLESS` for structure and the very first.
            `\limits` counts as a symbol that carries the scripts after it.
    """

    token: str
    path: tuple[Relation, ...]
    parent: int


def serialise(row: Row) -> list[str]:
    r"""The caption of `row`: scripts in the order of the tree, every script and part in braces.

    Raises:
        ValueError: the tree has no spelling: a fraction without its two parts, two scripts of one
            kind on one symbol, plain scripts beside `\limits` scripts, a bare `]` in a root index,
            a script without a base that is not first in its row, a token that is structure
            (`{`, `^`), or nesting beyond `MAX_DEPTH`.
    """
    return [placed.token for placed in place(row)]


def place(row: Row) -> list[PlacedToken]:
    """The caption of `row` with the place of every token.

    Raises:
        ValueError: as `serialise`.
    """
    writer = _Writer()
    writer.row(row, (), ROOTLESS, depth=0)
    return writer.placed


class _Writer:
    """Writes a tree in caption order; `head` is the number of the symbol that comes before."""

    def __init__(self) -> None:
        self.placed: list[PlacedToken] = []

    def emit(self, token: str, path: tuple[Relation, ...], parent: int = ROOTLESS) -> int:
        self.placed.append(PlacedToken(token, path, parent))
        return len(self.placed) - 1

    def row(self, row: Row, path: tuple[Relation, ...], head: int, depth: int) -> int:
        """Writes `row`; returns the number of its last symbol, or `head` if it has none."""
        if depth > MAX_DEPTH:
            raise ValueError(f"a tree nested deeper than {MAX_DEPTH} levels has no spelling")
        for number, node in enumerate(row):
            _check(node, first=number == 0)
            head = self.node(node, path, head, depth)
        return head

    def node(self, node: Node, path: tuple[Relation, ...], head: int, depth: int) -> int:
        parts, scripts = split_children(node)
        if node.token:
            head = self.emit(node.token, path, head)
            for relation, row in parts:
                brackets = "[]" if relation is Relation.INDEX else "{}"
                self.group(brackets, row, path, relation, head, depth)
        elif parts:
            self.emit("{", path)
            head = self.row(parts[0][1], path, head, depth + 1)
            self.emit("}", path)
        if any(relation in _LIMITS for relation, _ in scripts):
            head = self.emit(LIMITS, path, head)
        for relation, row in scripts:
            self.emit(_MARKS[relation], path)
            self.group("{}", row, path, relation, head, depth)
        return head

    def group(
        self,
        brackets: str,
        row: Row,
        path: tuple[Relation, ...],
        relation: Relation,
        head: int,
        depth: int,
    ) -> None:
        self.emit(brackets[0], path)
        self.row(row, (*path, relation), head, depth + 1)
        self.emit(brackets[1], path)


def _check(node: Node, first: bool) -> None:
    """Raises ValueError if `node` has no spelling."""
    if node.token in ("{", "}", "^", "_", LIMITS):
        raise ValueError(f"{node.token!r} is structure, not a symbol")
    parts, scripts = split_children(node)
    if not node.token and not parts and not (first and scripts):
        raise ValueError("a script without a base must stand first in its row")
    demanded = PARTS.get(node.token, ())
    found = tuple(relation for relation, _ in parts if relation is not Relation.INDEX)
    if node.token and found != demanded:
        raise ValueError(f"{node.token!r} needs the parts {[*map(str, demanded)]}")
    if any(
        relation is Relation.INDEX and any(child.token == "]" for child in row)
        for relation, row in parts
    ):
        raise ValueError("a root index with a bare ']' has no spelling")
    _check_scripts(node, scripts)


def _check_scripts(node: Node, scripts: Children) -> None:
    relations = {relation for relation, _ in scripts}
    if len(relations) < len(scripts):
        raise ValueError(f"two scripts of one kind on {node.token!r}")
    if not relations <= _MARKS.keys():
        raise ValueError(f"{node.token!r} cannot carry {sorted(map(str, relations))}")
    if relations & _LIMITS and (
        not relations <= _LIMITS or node.token in PARTS or node.token == ""
    ):
        raise ValueError(f"{node.token!r} cannot carry limits here")
