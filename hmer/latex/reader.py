"""LaTeX as people write it to a structure tree; forgiving where `hmer.latex.parse` is strict.

Braces may be missing around one token or left open at the end, groups that only group dissolve,
fonts and spacing go, synonyms become one spelling. What has no single reading is refused.
"""

from __future__ import annotations

import re

from hmer.errors import LatexError
from hmer.latex.commands import LIMIT_SCRIPTS, LIMITS, MAX_DEPTH, PARTS, ROOT, SCRIPTS
from hmer.latex.spellings import BLANKS, DEFAULT_LIMITS, FENCES, FONTS, FUNCTIONS, SIZES, SYNONYMS
from hmer.latex.tokens import shorten, tokenize
from hmer.latex.tree import Node, Relation, Row, expression_depth, grounded

_MAX_CHARACTERS = 100_000
_INDEX_AFTER = "\\ABOVE"
_OVER = "\\over"
_REFUSED = ("\\begin", "\\end", "\\\\", "&")
_PRIME = "'"
_EMPTY = (Node(""), grounded(Node("")))


def read(latex: str) -> Row:
    r"""The structure of `latex`.

    Raises:
        LatexError: it has no single reading (a command without its argument, two superscripts on
            one symbol), uses environments, or is absurdly long or deep.
    """
    if len(latex) > _MAX_CHARACTERS:
        raise LatexError(f"LaTeX of {len(latex)} characters; at most {_MAX_CHARACTERS} are read")
    # CROHME spells a root's index after the root, and "<" escaped and glued to the next letter.
    marked = re.sub(r"\bABOVE(?=\s*\{)", lambda _: _INDEX_AFTER, latex)
    marked = re.sub(r"\\([lg]t)(?=[A-Z])", r"\\\1 ", marked)
    reader = _Reader(_plain(tokenize(marked)), latex)
    row = reader.row(None, depth=0)
    if expression_depth(row) > MAX_DEPTH:
        raise reader.fail(f"nested deeper than {MAX_DEPTH} levels")
    return row


def _plain(tokens: list[str]) -> list[str]:
    """Tokens without blanks, fonts, sizes and fences; synonyms replaced."""
    plain: list[str] = []
    after_fence = False
    for token in tokens:
        if token in BLANKS or token in FONTS or token in SIZES:
            continue
        if token in FENCES:
            after_fence = True
            continue
        if not (after_fence and token == "."):
            plain.extend(SYNONYMS.get(token, (token,)))
        after_fence = False
    return plain


class _Reader:
    """Recursive descent; every method starts at `self.at` and moves past what it reads."""

    def __init__(self, tokens: list[str], latex: str) -> None:
        self.tokens = tokens
        self.latex = latex
        self.at = 0

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def fail(self, reason: str) -> LatexError:
        token = self.peek()
        where = "at the end" if token is None else f"at {token!r} (token {self.at + 1})"
        return LatexError(f"LaTeX {shorten(self.latex)!r} cannot be read {where}: {reason}")

    def row(self, closing: str | None, depth: int) -> Row:
        """Nodes up to `closing` (consumed) or the end; without `closing` stray braces are skipped.

        A group left open at the end counts as closed there, as the CROHME captions read it.
        """
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        nodes: list[Node] = []
        numerator: Row | None = None
        while (token := self.peek()) != closing and token is not None:
            if token == _OVER:
                if numerator is not None:
                    raise self.fail("a second \\over in one group")
                numerator, nodes = tuple(nodes), []
                self.at += 1
            elif token == "}":
                if closing is not None:
                    raise self.fail(f"{closing!r} is missing")
                self.at += 1
            else:
                self.element(nodes, depth)
        if token is None and closing == "]":
            raise self.fail("the root index is not closed")
        self.at += 1
        row = _merge_functions(nodes)
        if numerator is None:
            return row
        return (Node("\\frac", ((Relation.ABOVE, numerator), (Relation.BELOW, row))),)

    def element(self, nodes: list[Node], depth: int) -> None:
        """One symbol or group, with its scripts, appended to `nodes`."""
        token = self.peek()
        start = len(nodes)
        group: int | None = None
        if token == "{":
            self.at += 1
            inner = self.row("}", depth + 1)
            if not inner and self.peek() in SCRIPTS:
                inner = (Node(""),)
            nodes.extend(_after_others(inner) if start else inner)
            group = start if inner else None
        elif token == _INDEX_AFTER:
            self.at += 1
            self.index_after(nodes, depth)
        elif token not in SCRIPTS and token != LIMITS and not self.at_script_prime(nodes):
            nodes.append(self.symbol(depth))
        self.scripts(nodes, group, depth)
        if nodes and nodes[-1] in _EMPTY:
            nodes.pop()  # an empty group whose scripts were empty too

    def symbol(self, depth: int) -> Node:
        """A symbol with the arguments of its command, without scripts."""
        token = self.peek()
        if token is None or token in _REFUSED or token in (*SCRIPTS, "}", LIMITS, _OVER):
            raise self.fail("an expression is expected; environments are not supported")
        self.at += 1
        parts: list[tuple[Relation, Row]] = []
        if token == ROOT and self.peek() == "[":
            self.at += 1
            parts = [self.checked_index(self.row("]", depth + 1))]
        parts.extend((relation, self.argument(depth)) for relation in PARTS.get(token, ()))
        return Node(token, tuple(parts))

    def argument(self, depth: int) -> Row:
        """A braced group, or one symbol with its own arguments."""
        if self.peek() == "{":
            self.at += 1
            return self.row("}", depth + 1)
        if depth >= MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        return (self.symbol(depth + 1),)

    def checked_index(self, index: Row) -> tuple[Relation, Row]:
        if any(node.token == "]" for node in index):
            raise self.fail("a root index cannot hold ']'")
        return Relation.INDEX, index

    def index_after(self, nodes: list[Node], depth: int) -> None:
        if not nodes or [kind for kind, _ in nodes[-1].children] != [Relation.INSIDE]:
            raise self.fail("ABOVE must follow a root without index")
        index = self.checked_index(self.argument(depth))
        nodes[-1] = Node(nodes[-1].token, (index, *nodes[-1].children))

    def scripts(self, nodes: list[Node], group: int | None, depth: int) -> None:
        """Scripts and primes, put on the last node, or on the group `nodes[group:]`."""
        limits = False
        while (token := self.peek()) in SCRIPTS or token in (LIMITS, _PRIME):
            if token == LIMITS:
                base = nodes[-1] if nodes else Node("")
                limits = base.token not in DEFAULT_LIMITS | {""} and not base.children
                self.at += 1
                continue
            if token == _PRIME and not self.at_script_prime(nodes):
                return
            mark = "^" if token == _PRIME else str(token)
            script = self.primes(depth) if token == _PRIME else self.script(depth)
            if not script:
                continue  # an empty script leaves no ink
            if not nodes:
                nodes.append(Node(""))
            if group is not None and _relation(nodes[-1], mark, limits) in _taken(nodes[-1]):
                nodes[group:] = [Node("", ((Relation.INSIDE, tuple(nodes[group:])),))]
                group = None
            relation = _relation(nodes[-1], mark, limits)
            if relation in _taken(nodes[-1]):
                raise self.fail("a second script of one kind on one symbol")
            nodes[-1] = Node(nodes[-1].token, (*nodes[-1].children, (relation, script)))

    def at_script_prime(self, nodes: list[Node]) -> bool:
        """Whether a prime stands next that is the superscript of what comes before it.

        At the start of a row, as in the braces of `f^{''}`, primes are ordinary symbols.
        """
        return self.peek() == _PRIME and bool(nodes) and nodes[-1] != Node(_PRIME)

    def script(self, depth: int) -> Row:
        self.at += 1
        return self.argument(depth)

    def primes(self, depth: int) -> Row:
        """A run of primes and the superscript after it, which LaTeX sets beside them."""
        row: Row = ()
        while self.peek() == _PRIME:
            self.at += 1
            row += (Node(_PRIME),)
        if self.peek() == "^":
            self.at += 1
            row += tuple(map(grounded, self.argument(depth)))
        return row


def _after_others(inner: Row) -> Row:
    """`inner`, the content of a group, as it stands after other symbols of a row."""
    primes = next((i for i, node in enumerate(inner) if node != Node(_PRIME)), len(inner))
    lead = (grounded(Node("", ((Relation.SUP, inner[:primes]),))),) if primes else ()
    return (*lead, *map(grounded, inner[primes:]))


def _taken(node: Node) -> set[Relation]:
    return {relation for relation, _ in node.children}


def _relation(base: Node, mark: str, limits: bool) -> Relation:
    """Where a script on `base` stands; limits once begun go on."""
    begun = base.token not in PARTS and bool(_taken(base) & {Relation.ABOVE, Relation.BELOW})
    return (LIMIT_SCRIPTS if limits or begun else SCRIPTS)[mark]


def _merge_functions(nodes: list[Node]) -> Row:
    """`nodes` with function names spelled letter by letter made into one symbol each.

    A name at the end of its row has no argument and is left: it is a label, as in `a_{tan}`.
    """
    merged: list[Node] = []
    at = 0
    while at < len(nodes):
        length = _function_length(nodes, at)
        word = tuple(node.token for node in nodes[at : at + length])
        last = nodes[at + length - 1]
        merged.append(Node(FUNCTIONS[word], last.children) if word in FUNCTIONS else last)
        at += length
    return tuple(merged)


def _function_length(nodes: list[Node], start: int) -> int:
    """Letters of the spelled function name that starts at `start`; 1 if there is none."""
    for letters in FUNCTIONS:
        word = nodes[start : start + len(letters)]
        if tuple(node.token for node in word) != letters:
            continue
        has_argument = bool(word[-1].children) or start + len(letters) < len(nodes)
        if has_argument and not any(node.children for node in word[:-1]):
            return len(letters)
    return 1
