r"""Structure tree of an expression: the node type, parsing of captions, and serialisation.

A row is what stands on one baseline, left to right. Everything that hangs on a symbol (its
scripts, the parts of a fraction, what stands under a radical) is a row of its own. Captions are
spelled strictly, as in the literature:

    row    = node*
    node   = symbol [limits] scripts | "{" row "}" scripts | scripts at the start of a row
    symbol = command with its groups (`COMMANDS`) | any other token
    limits = "\limits", which must be followed by a script
    scripts = at most one "^" group and one "_" group, in either order
    group  = "{" row "}"

A matrix, or several lines, is the command `\matrix` with one group: its row has `&` between cells
and `\\` between lines, symbols without ink (`cells` takes it apart).

What `parse` accepts, `serialise` writes back token for token. For LaTeX as people write it (missing
braces, `$`, fonts) use `hmer.latex.dialect.normalise` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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

    Attributes:
        token: the empty string for a bare braced group, whose content is the INSIDE child.
        children: command groups, then scripts.
        start, stop: tokens `start` to `stop - 1` of the parsed caption write the node with all that
            hangs on it; -1 in trees that were not parsed. They are not compared.
    """

    token: str
    children: tuple[tuple[Relation, Row], ...] = ()
    start: int = field(default=-1, compare=False, repr=False)
    stop: int = field(default=-1, compare=False, repr=False)

    @property
    def place(self) -> int | None:
        """Which token of the parsed caption the symbol is; None for groups."""
        return self.start if self.token and self.start >= 0 else None

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


MATRIX = "\\matrix"
CELL, LINE = "&", "\\\\"
"""What stands between the cells of a line, and between the lines, of a matrix."""

INKLESS = frozenset(("", MATRIX, CELL, LINE))
"""Tokens of nodes that leave no ink of their own."""


def symbols(row: Row) -> list[Node]:
    """What is written: all nodes with ink, fraction bars and radicals included."""
    return [node for node in walk(row) if node.token not in INKLESS]


def cells(row: Row) -> list[list[Row]]:
    """The lines of a matrix, each with the rows in its cells."""
    lines: list[list[list[Node]]] = [[[]]]
    for node in row:
        if node.token == LINE and not node.children:
            lines.append([[]])
        elif node.token == CELL and not node.children:
            lines[-1].append([])
        else:
            lines[-1][-1].append(node)
    return [[tuple(cell) for cell in line] for line in lines]


class HangingRow(NamedTuple):
    """A row and what it hangs on: nothing, where it is the outermost one."""

    parent: Node | None
    relation: Relation | None
    row: Row


def rows(
    row: Row, parent: Node | None = None, relation: Relation | None = None
) -> Iterator[HangingRow]:
    """All rows of a tree, each after those that hang on it."""
    for node in row:
        for kind, child in node.children:
            yield from rows(child, node, kind)
    yield HangingRow(parent, relation, row)


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

ROOT = "\\sqrt"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of tokens that a command takes, and where it stands."""

    relation: Relation
    opening: str = "{"
    closing: str = "}"
    optional: bool = False


ALPHABETS = (r"\mathbb", r"\mathcal", r"\mathfrak")
"""Commands that make a symbol of the letter in their group."""


def is_symbol(tokens: Sequence[str]) -> bool:
    r"""Whether a caption is one symbol: a token, or a letter of an alphabet (`\mathbb { R }`)."""
    return len(tokens) == 1 or (len(tokens) == 4 and tokens[0] in ALPHABETS)


_OVER = (Group(Relation.ABOVE), Group(Relation.BELOW))
_INSIDE = (Group(Relation.INSIDE),)
_OF_ONE = r"""
    \bar \overline \underline \vec \hat \widehat \tilde \widetilde \dot \ddot \check \overrightarrow
    \overleftarrow \overbrace \underbrace \acute \grave \breve \boxed \xrightarrow
    \mathbb \mathcal \mathscr \mathfrak \matrix
"""

COMMANDS: dict[str, tuple[Group, ...]] = {
    "\\frac": _OVER,
    "\\binom": _OVER,
    ROOT: (Group(Relation.INDEX, "[", "]", optional=True), *_INSIDE),
    "\\overset": (Group(Relation.ABOVE), *_INSIDE),
    "\\underset": (Group(Relation.BELOW), *_INSIDE),
    **dict.fromkeys(_OF_ONE.split(), _INSIDE),
}
"""Commands with their groups, in the order in which they are written; one of a kind at most."""

SCRIPTS = {"^": Relation.SUP, "_": Relation.SUB}
LIMIT_SCRIPTS = {"^": Relation.ABOVE, "_": Relation.BELOW}
"""Script marks, and where the group after each stands: plainly, and after `\\limits`."""


Children = tuple[tuple[Relation, Row], ...]


def split_children(node: Node) -> tuple[Children, Children]:
    """The children of `node` that are groups of its command, and the scripts after them."""
    count = 0
    for group in COMMANDS.get(node.token, ()) if node.token else _BARE:
        if count < len(node.children) and node.children[count][0] is group.relation:
            count += 1
        elif not group.optional:
            break
    return node.children[:count], node.children[count:]


_BARE = (Group(Relation.INSIDE, optional=True),)


def parse(tokens: Sequence[str]) -> Row:
    """The structure of a caption.

    Args:
        tokens: LaTeX tokens, every script and part in braces.

    Raises:
        LatexError: the tokens are not an expression; the message gives the token's number.
    """
    return _Parser(tokens).row(None, depth=0)


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
        token, start = self.peek(), self.at
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
            children.extend(
                (group.relation, self.group(depth, group))
                for group in COMMANDS.get(name, ())
                if not group.optional or self.peek() == group.opening
            )
        children.extend(self.scripts(depth, may_have_limits=bool(name) and name not in COMMANDS))
        return Node(name, tuple(children), start, self.at)

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

    def group(self, depth: int, group: Group = _INSIDE[0]) -> Row:
        if self.peek() != group.opening:
            raise self.fail(f"{group.opening!r} is missing")
        self.at += 1
        return self.row(group.closing, depth + 1)


_MARKS = {Relation.SUP: "^", Relation.SUB: "_", Relation.ABOVE: "^", Relation.BELOW: "_"}
_SCRIPTS = {relation: Group(relation) for relation in _MARKS}
_LIMITS = {Relation.ABOVE, Relation.BELOW}


class PlacedToken(NamedTuple):
    """A token of a caption and its place in the tree."""

    token: str
    path: tuple[Relation, ...]
    """Relations from the outermost row to that of the token; structure stands in the row of its
    base, and a group that only groups is no row of its own."""


def serialise(row: Row) -> list[str]:
    r"""The caption of `row`: scripts in the order of the tree, every script and part in braces.

    Raises:
        ValueError: the tree has no spelling: a fraction without its two parts, two scripts of one
            kind on one symbol, plain scripts beside `\limits` scripts, a bare `]` in a root index,
            a script without a base that is not first in its row, a token that is structure
            (`{`, `^`), or nesting beyond `MAX_DEPTH`.
    """
    return [placed.token for placed in place_tokens(row)]


def place_tokens(row: Row) -> list[PlacedToken]:
    """The caption of `row` with the place of every token.

    Raises:
        ValueError: as `serialise`.
    """
    placed: list[PlacedToken] = []
    _write(row, (), 0, placed)
    return placed


def _write(row: Row, path: tuple[Relation, ...], depth: int, placed: list[PlacedToken]) -> None:
    """Append the tokens of `row`, which stands at `path`."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a tree nested deeper than {MAX_DEPTH} levels has no spelling")

    def emit(token: str) -> None:
        placed.append(PlacedToken(token, path))

    def emit_group(group: Group, inner: Row) -> None:
        emit(group.opening)
        _write(inner, (*path, group.relation), depth + 1, placed)
        emit(group.closing)

    for number, node in enumerate(row):
        _check(node, first=number == 0)
        parts, scripts = split_children(node)
        if node.token:
            emit(node.token)
            groups = iter(COMMANDS[node.token] if parts else ())
            for relation, inner in parts:
                emit_group(next(group for group in groups if group.relation is relation), inner)
        elif parts:
            emit("{")
            _write(parts[0][1], path, depth + 1, placed)
            emit("}")
        if any(relation in _LIMITS for relation, _ in scripts):
            emit(LIMITS)
        for relation, inner in scripts:
            emit(_MARKS[relation])
            emit_group(_SCRIPTS[relation], inner)


def _check(node: Node, first: bool) -> None:
    """Raises ValueError if `node` has no spelling."""
    if node.token in ("{", "}", "^", "_", LIMITS):
        raise ValueError(f"{node.token!r} is structure, not a symbol")
    parts, scripts = split_children(node)
    if not node.token and not parts and not (first and scripts):
        raise ValueError("a script without a base must stand first in its row")
    rows = dict(parts)
    for group in COMMANDS.get(node.token, ()):
        if group.relation not in rows and not group.optional:
            wanted = [str(g.relation) for g in COMMANDS[node.token] if not g.optional]
            raise ValueError(f"{node.token!r} needs the parts {wanted}")
        inner = rows.get(group.relation, ())
        if group.closing != "}" and any(child.token == group.closing for child in inner):
            where = f"the {group.relation} of {node.token!r}"
            raise ValueError(f"{where} with a bare {group.closing!r} has no spelling")
    relations = {relation for relation, _ in scripts}
    if len(relations) < len(scripts):
        raise ValueError(f"two scripts of one kind on {node.token!r}")
    if not relations <= _MARKS.keys():
        raise ValueError(f"{node.token!r} cannot carry {sorted(map(str, relations))}")
    if relations & _LIMITS and (
        not relations <= _LIMITS or node.token in COMMANDS or node.token == ""
    ):
        raise ValueError(f"{node.token!r} cannot carry limits here")
