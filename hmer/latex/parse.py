r"""Tokens to a structure tree, strictly: the spelling of the literature's captions.

    row    = node*
    node   = symbol [limits] scripts | "{" row "}" scripts | scripts at the start of a row
    symbol = "\frac" group group | "\sqrt" ["[" row "]"] group | any other token
    limits = "\limits", which must be followed by a script
    scripts = at most one "^" group and one "_" group, in either order
    group  = "{" row "}"

What `parse` accepts, `hmer.latex.serialise.serialise` writes back token for token. For LaTeX as
people write it (missing braces, `$`, fonts) use `hmer.latex.normalise.normalise` first.
"""

from __future__ import annotations

from collections.abc import Sequence

from hmer.errors import LatexError
from hmer.latex.commands import LIMIT_SCRIPTS, LIMITS, MAX_DEPTH, PARTS, ROOT, SCRIPTS
from hmer.latex.tree import Node, Relation, Row

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
