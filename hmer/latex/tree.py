r"""Structure tree of an expression: the node type, parsing of captions, and serialisation.

A row is what stands on one baseline, left to right. Everything that hangs on a symbol (its
scripts, the parts of a fraction, what stands under a radical) is a row of its own. Captions are
spelled strictly, as in the literature:

    row    = node*
    node   = symbol [limits] scripts | "{" row "}" scripts | scripts at the start of a row
    symbol = "\frac" group group | "\sqrt" ["[" row "]"] group | any other token
    limits = "\limits", which must be followed by a script
    scripts = at most one "^" group and one "_" group, in either order
    group  = "{" row "}"

What `parse` accepts, `serialise` writes back token for token. For LaTeX as people write it (missing
braces, `$`, fonts) use `hmer.latex.dialect.normalise` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from hmer.errors import LatexError


class Relation(StrEnum):
    """Where a child row stands, seen from its parent symbol."""

    SUP = "sup"  # a ^ { . }
    SUB = "sub"  # a _ { . }
    ABOVE = "above"  # numerator; upper limit after \limits
    BELOW = "below"  # denominator; lower limit after \limits
    INSIDE = "inside"  # radicand; content of a bare braced group
    INDEX = "index"  # root index


Row = tuple["Node", ...]
"""Symbols on one baseline; each stands to the right of the one before it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A symbol (its LaTeX token) and the rows that hang on it, in the order they are written.

    `token` is the empty string for a bare braced group, whose content is the INSIDE child.
    """

    token: str
    children: tuple[tuple[Relation, Row], ...] = ()

    def child(self, relation: Relation) -> Row | None:
        """The row at `relation`, or None."""
        return next((row for kind, row in self.children if kind is relation), None)


def expression_depth(row: Row) -> int:
    """Nesting of `row`: 0 for symbols on one baseline, 1 for `x ^ { 2 }`, and so on."""
    below = (expression_depth(child) for node in row for _, child in node.children)
    return max((1 + depth for depth in below), default=0)


def walk(row: Row) -> Iterator[Node]:
    """All nodes of `row`, each before what hangs on it."""
    for node in row:
        yield node
        for _, child in node.children:
            yield from walk(child)


def symbol_count(row: Row) -> int:
    """Symbols in `row`, fraction bars and radicals included, structure (braces) not."""
    return sum(1 for node in walk(row) if node.token)


def grounded(node: Node) -> Node:
    """`node`; a script without base gets an empty group as base, so that it can follow others."""
    if node.token or node.child(Relation.INSIDE) is not None:
        return node
    return Node("", ((Relation.INSIDE, ()), *node.children))


def nesting_depth(tokens: Sequence[str]) -> int:
    """How many braced groups are open at the deepest point; 0 for a plain row.

    Counted on tokens rather than on the tree, so that every caption has a depth.
    """
    depth = deepest = 0
    for token in tokens:
        depth += (token == "{") - (token == "}")
        deepest = max(deepest, depth)
    return deepest


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


_CLOSED_BY_NOTHING = None


def parse(tokens: Sequence[str]) -> Row:
    """The structure of a caption.

    Args:
        tokens: LaTeX tokens, every script and part in braces.

    Raises:
        LatexError: the tokens are not an expression; the message gives the token's number.
    """
    parser = _Parser(tokens)
    return parser.row(_CLOSED_BY_NOTHING, depth=0)


class _Parser:
    """Recursive descent over a token list; every method starts at `self.at` and moves past."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def fail(self, reason: str) -> LatexError:
        token = self.peek()
        where = "at the end" if token is None else f"at token {self.at + 1} ({token!r})"
        return LatexError(f"LaTeX cannot be parsed {where}: {reason}")

    def row(self, closing: str | None, depth: int) -> Row:
        """Nodes up to `closing` (which is consumed), or to the end if `closing` is None."""
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        nodes: list[Node] = []
        while (token := self.peek()) != closing:
            if token is None:
                raise self.fail(f"{closing!r} is missing")
            if token in SCRIPTS and nodes:
                raise self.fail("a second script of one kind on one symbol")
            nodes.append(self.node(depth))
        self.at += 1
        return tuple(nodes)

    def node(self, depth: int) -> Node:
        token = self.peek()
        children: list[tuple[Relation, Row]] = []
        if token in SCRIPTS:
            name = ""
        elif token == "{":
            name = ""
            children.append((Relation.INSIDE, self.group(depth)))
        elif token is None or token in ("}", LIMITS, ""):
            raise self.fail("no symbol can start here")
        else:
            name = token
            self.at += 1
            children.extend(self.parts(name, depth))
        children.extend(self.scripts(depth, may_have_limits=bool(name) and name not in PARTS))
        return Node(name, tuple(children))

    def parts(self, name: str, depth: int) -> list[tuple[Relation, Row]]:
        """The groups a command takes, root index first."""
        parts: list[tuple[Relation, Row]] = []
        if name == ROOT and self.peek() == "[":
            self.at += 1
            parts.append((Relation.INDEX, self.row("]", depth + 1)))
        parts.extend((relation, self.group(depth)) for relation in PARTS.get(name, ()))
        return parts

    def scripts(self, depth: int, may_have_limits: bool) -> list[tuple[Relation, Row]]:
        marks = SCRIPTS
        if self.peek() == LIMITS:
            if not may_have_limits:
                raise self.fail("limits must follow a symbol")
            marks = LIMIT_SCRIPTS
            self.at += 1
            if self.peek() not in SCRIPTS:
                raise self.fail("a script must follow \\limits")
        scripts: list[tuple[Relation, Row]] = []
        taken: set[str] = set()
        while (mark := self.peek()) in SCRIPTS and mark is not None and mark not in taken:
            taken.add(mark)
            self.at += 1
            scripts.append((marks[mark], self.group(depth)))
        return scripts

    def group(self, depth: int) -> Row:
        if self.peek() != "{":
            raise self.fail("'{' is missing")
        self.at += 1
        return self.row("}", depth + 1)


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
