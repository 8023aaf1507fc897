"""LaTeX text to tokens: commands, escaped signs and single characters; blanks separate."""

from __future__ import annotations

import re

from hmer.errors import LatexError
from hmer.latex.spellings import (
    DEFAULT_LIMITS,
    FUNCTIONS,
    INDEX_AFTER,
    OVER,
    STACK,
    after_group,
    plain_text,
    plain_tokens,
)
from hmer.latex.tree import (
    CELL,
    COMMANDS,
    LIMIT_SCRIPTS,
    LIMITS,
    LINE,
    MATRIX,
    MAX_DEPTH,
    ROOT,
    SCRIPTS,
    Node,
    Relation,
    Row,
    expression_depth,
    grounded,
)

_TOKEN = re.compile(r"\\(?:begin|end)\s*\{\s*[A-Za-z]+\s*\*?\s*\}|\\[A-Za-z]+|\\.|\S", re.DOTALL)
_COMMENT = re.compile(
    r"(\\.)|(?<!\d)%[^\S\n]*\n|(?<!\S)%[^\n%]*(?<![\\A-Za-z])[^\W\d_]{2}[^\n]*", re.DOTALL
)
_BORDER = re.compile(r"\\(begin|end)\{([A-Za-z]+)\}")


def tokenize(latex: str) -> list[str]:
    r"""Tokens of `latex`: `x^2` and `x ^ 2` both give `x`, `^`, `2`; `\alpha b` gives two.

    A backslash before a blank (a control space) is the token `\ `; other blanks only separate. The
    borders of an environment are tokens (`\begin{matrix}`).

    Raises:
        LatexError: the text ends in a backslash.
    """
    found = [
        re.sub(r"[\s*]", "", token) if token[-1:] == "}" and len(token) > 2 else token
        for token in _TOKEN.findall(latex)
    ]
    tokens = [token if token.strip() == token else "\\ " for token in found]
    if "\\" in tokens:
        raise LatexError(f"LaTeX {shorten(latex)!r} ends in a backslash; remove it")
    return tokens


def shorten(text: str, width: int = 60) -> str:
    """`text` cut to `width` characters, for error messages."""
    return text if len(text) <= width else text[: width - 3] + "..."


MAX_CHARACTERS = 20_000
"""Longest text that is read."""

_DISPLAYS = frozenset(
    "equation displaymath math align aligned alignat alignedat eqnarray flalign gather gathered "
    "multline split".split()
)
"""Environments of lines, which may be one only: then it is read as if it stood alone."""
_MATRICES = {
    **dict.fromkeys((*sorted(_DISPLAYS), "matrix", "smallmatrix", "array", "subarray"), ("", "")),
    **{f"{kind}matrix": pair for kind, pair in (("p", "()"), ("b", "[]"), ("v", "||"))},
    "Bmatrix": ("\\{", "\\}"),
    "Vmatrix": ("||", "||"),
    **dict.fromkeys(("cases", "dcases"), ("\\{", "")),
    "rcases": ("", "\\}"),
}
"""Environments of lines and cells, and the brackets around them."""

_COLUMNS = frozenset(("array", "subarray", "alignat", "alignedat"))

_RULES = frozenset(r"\hline \toprule \midrule \bottomrule".split())
_LENGTH = re.compile(r"-?[\d.]+(pt|em|ex|cm|mm|in)")
_PRIME = "'"
_NO_SYMBOL = frozenset((*SCRIPTS, "}", LIMITS, *OVER, INDEX_AFTER))
_EMPTY = (Node(""), grounded(Node("")))


def read(latex: str) -> Row:
    r"""The structure of `latex`.

    Raises:
        LatexError: it has no single reading (a command without its argument, two superscripts on
            one symbol), an environment that is no matrix, or is absurdly long or deep.
    """
    if len(latex) > MAX_CHARACTERS:
        raise LatexError(f"LaTeX of {len(latex)} characters; at most {MAX_CHARACTERS} are read")
    reader = _Reader(plain_tokens(tokenize(plain_text(_uncommented(latex)))), latex)
    row = _merge_functions(reader.row(None, depth=0))
    if expression_depth(row) > MAX_DEPTH:
        raise reader.fail(f"nested deeper than {MAX_DEPTH} levels")
    return row


def _uncommented(latex: str) -> str:
    r"""LaTeX without comments. People write `50%`, too: a comment is what has words after a blank.

    Raises:
        LatexError: it may be either, as in `50 % of`.
    """

    def kept(found: re.Match[str]) -> str:
        if not found[1] and latex[: found.start()].rstrip()[-1:].isdigit():
            raise LatexError(
                f"LaTeX {shorten(latex)!r} has a % before words: write \\% for a percent sign, or "
                "leave the comment out"
            )
        return found[1] or ""

    return _COMMENT.sub(kept, latex)


class _Reader:
    """Recursive descent; every method starts at `self.at` and moves past what it reads."""

    def __init__(self, tokens: list[str], latex: str) -> None:
        self.tokens = tokens
        self.latex = latex
        self.at = 0
        self.cells = False  # whether the row is that of a matrix

    def peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def fail(self, reason: str) -> LatexError:
        token = self.peek()
        where = "at the end" if token is None else f"at {token!r} (token {self.at + 1})"
        return LatexError(f"LaTeX {shorten(self.latex)!r} cannot be read {where}: {reason}")

    def row(self, closing: str | None, depth: int, cells: bool = False) -> Row:
        """Nodes up to `closing` (consumed) or the end; without `closing` stray braces are skipped.

        A group left open at the end counts as closed there, as the CROHME captions read it.
        """
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        around, self.cells = self.cells, cells
        nodes: list[Node] = []
        over: tuple[str, Row] | None = None
        while (token := self.peek()) != closing and token is not None:
            if token in OVER:
                if over is not None:
                    raise self.fail(f"a second {token} in one group")
                over, nodes = (OVER[token], tuple(nodes)), []
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
        self.cells = around
        if over is None:
            return tuple(nodes)
        parts = ((Relation.ABOVE, over[1]), (Relation.BELOW, tuple(nodes)))
        return (Node(over[0], parts),)

    def element(self, nodes: list[Node], depth: int) -> None:
        """One symbol or group, with its scripts, appended to `nodes`."""
        token = self.peek()
        start = len(nodes)
        group: int | None = None
        if token == "{":
            self.at += 1
            inner = self.row("}", depth + 1)
            group = start if inner else None
            if not inner and self.peek() in SCRIPTS:
                inner = (Node(""),)
            nodes.extend(_after_others(inner) if start else inner)
        elif token == INDEX_AFTER:
            self.at += 1
            self.index_after(nodes, depth)
        elif token is not None and (border := _BORDER.fullmatch(token)) and border[1] == "begin":
            self.at += 1
            nodes.extend(self.environment(border[2], depth))
        elif token not in SCRIPTS and token != LIMITS and not self.at_script_prime(nodes):
            nodes.append(self.symbol(depth))
        self.scripts(nodes, group, depth)
        if nodes and nodes[-1] in _EMPTY:
            nodes.pop()  # an empty group whose scripts were empty too

    def symbol(self, depth: int) -> Node:
        """A symbol with the arguments of its command, without scripts."""
        token = self.peek()
        if token in (CELL, LINE) and not self.cells:
            raise self.fail(f"{token} stands between the cells and lines of a matrix only")
        if token is None or token in _NO_SYMBOL or _BORDER.fullmatch(token):
            raise self.fail("a symbol or a group is expected")
        self.at += 1
        if token == STACK:
            return self.stack(depth)
        if token == MATRIX:
            return self.matrix("}" if self.opened() else None, depth)
        if token == LINE:
            self.skip_length()
        parts: list[tuple[Relation, Row]] = []
        for group in COMMANDS.get(token, ()):
            if not group.optional:
                parts.append((group.relation, self.argument(depth)))
            elif self.peek() == group.opening:
                self.at += 1
                index = self.checked_index(self.row(group.closing, depth + 1))
                parts += [index] if index[1] else []
        return Node(token, tuple(parts))

    def argument(self, depth: int) -> Row:
        """A braced group, or one symbol with its own arguments."""
        if self.peek() == "{":
            self.at += 1
            return self.row("}", depth + 1)
        if depth >= MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        return (self.symbol(depth + 1),)

    def opened(self) -> bool:
        """Move past an opening brace, if one stands next."""
        found = self.peek() == "{"
        self.at += found
        return found

    def environment(self, name: str, depth: int) -> list[Node]:
        """An environment of lines and cells, in its brackets, up to its end."""
        end = f"\\end{{{name}}}"
        if name not in _MATRICES:
            known = ", ".join(_MATRICES)
            raise self.fail(f"the environment {name!r} is none of {known}")
        if self.peek() == "[":  # where it stands
            self.skip_until("]")
        if name in _COLUMNS and self.peek() == "{":  # how many there are, or how they are aligned
            self.at = after_group(self.tokens, self.at)
        opening, closing = ([Node(sign) for sign in tokenize(side)] for side in _MATRICES[name])
        matrix = self.matrix(end, depth)
        if name in _DISPLAYS and Node(LINE) not in (lines := matrix.children[0][1]):
            return [node for node in lines if node != Node(CELL)]
        return [*opening, matrix, *closing]

    def matrix(self, closing: str | None, depth: int) -> Node:
        """Lines and cells up to `closing`; an empty last line is none, as after a last `\\\\`."""
        if closing is None:
            raise self.fail("'{' is missing")
        found = [n for n in self.row(closing, depth + 1, cells=True) if n.token not in _RULES]
        if self.tokens[self.at - 1 : self.at] != [closing]:
            raise self.fail(f"{closing!r} is missing")
        while found and found[-1] == Node(LINE):
            found.pop()
        return Node(MATRIX, ((Relation.INSIDE, tuple(map(grounded, found))),))

    def skip_until(self, closing: str) -> None:
        """Move past the next `closing`."""
        while (token := self.peek()) != closing:
            if token is None:
                raise self.fail(f"{closing!r} is missing")
            self.at += 1
        self.at += 1

    def skip_length(self) -> None:
        """Move past what a line break says of the distance to the next line (`\\\\[2pt]`)."""
        after = "".join(self.tokens[self.at : self.at + 12])
        if after.startswith("[") and _LENGTH.match(after, 1):
            self.skip_until("]")

    def stack(self, depth: int) -> Node:
        """An empty root over what stands under it, as CROHME's truths from RIT have some roots."""
        root, *inside = self.argument(depth) or (Node(""),)
        if root != Node(ROOT, ((Relation.INSIDE, ()),)) or not inside:
            raise self.fail("several lines are not supported")
        return Node(ROOT, ((Relation.INSIDE, tuple(inside)),))

    def checked_index(self, index: Row) -> tuple[Relation, Row]:
        if any(node.token == "]" for node in index):
            raise self.fail("a root index cannot hold ']'")
        return Relation.INDEX, index

    def index_after(self, nodes: list[Node], depth: int) -> None:
        root = nodes[-1] if nodes else Node("")
        if root.token != ROOT or [kind for kind, _ in root.children] != [Relation.INSIDE]:
            raise self.fail("ABOVE must follow a root without index")
        index = self.checked_index(self.argument(depth))
        nodes[-1] = Node(ROOT, (index, *root.children))

    def scripts(self, nodes: list[Node], group: int | None, depth: int) -> None:
        """Scripts and primes, put on the last node, or on the group `nodes[group:]`.

        The captions of the literature put the scripts of a group on its last symbol; only where
        that symbol has such a script already does the group stay.
        """
        limits, scripts = self.marked(nodes, depth)
        if not scripts:
            return
        if not nodes or nodes[-1].token in (CELL, LINE):
            nodes.append(grounded(Node("")) if nodes else Node(""))
        marks = [mark for mark, _ in scripts]
        if group is not None and _relations(nodes[-1], marks, limits) & _taken(nodes[-1]):
            nodes[group:] = [_group(tuple(nodes[group:]))]
        base = nodes[-1]
        for mark, script in scripts:
            (relation,) = _relations(base, [mark], limits)
            if relation in _taken(base):
                raise self.fail("a second script of one kind on one symbol")
            base = Node(base.token, (*base.children, (relation, script)))
        nodes[-1] = base

    def marked(self, nodes: list[Node], depth: int) -> tuple[bool, list[tuple[str, Row]]]:
        """Whether limits stand next, and the scripts after them; empty scripts leave no ink."""
        base = nodes[-1] if nodes else Node("")
        limits = False
        scripts: list[tuple[str, Row]] = []
        while (token := self.peek()) in SCRIPTS or token == LIMITS or self.at_script_prime(nodes):
            if token == LIMITS:
                may_have = base.token not in DEFAULT_LIMITS | {""} and not base.children
                limits = limits or (may_have and not scripts)
                self.at += 1
            elif token == _PRIME:
                scripts.append(("^", self.primes(depth)))
            else:
                self.at += 1
                scripts.append((str(token), self.argument(depth)))
        return limits, [script for script in scripts if script[1]]

    def at_script_prime(self, nodes: list[Node]) -> bool:
        """Whether a prime stands next that is the superscript of what comes before it.

        At the start of a row, as in the braces of `f^{''}`, primes are ordinary symbols.
        """
        return self.peek() == _PRIME and bool(nodes) and nodes[-1] != Node(_PRIME)

    def primes(self, depth: int) -> Row:
        """A run of primes and the superscript after it, which LaTeX sets beside them."""
        row: list[Node] = []
        while self.peek() == _PRIME:
            self.at += 1
            row.append(Node(_PRIME))
        if self.peek() == "^":
            self.at += 1
            row.extend(map(grounded, self.argument(depth)))
        return tuple(row)


def _after_others(inner: Row) -> Row:
    """`inner`, the content of a group, as it stands after other symbols of a row.

    A group that starts with a prime stays: without it, the prime would go to what stands before.
    """
    if inner and inner[0].token == _PRIME:
        return (_group(inner),)
    return tuple(map(grounded, inner))


def _group(row: Row) -> Node:
    """`row` in a group of its own, where a script without base may stand first."""
    first = row[0]
    if not first.token and first.children[0] == (Relation.INSIDE, ()):
        row = (Node("", first.children[1:]), *row[1:])
    return Node("", ((Relation.INSIDE, row),))


def _taken(node: Node) -> set[Relation]:
    return {relation for relation, _ in node.children}


def _relations(base: Node, marks: list[str], limits: bool) -> set[Relation]:
    """Where scripts on `base` stand; limits once begun go on."""
    begun = base.token not in COMMANDS and bool(_taken(base) & {Relation.ABOVE, Relation.BELOW})
    relations = LIMIT_SCRIPTS if limits or begun else SCRIPTS
    return {relations[mark] for mark in marks}


def _merge_functions(row: Row) -> Row:
    """`row` with function names spelled letter by letter made into one symbol each.

    A name at the end of its row has no argument and is left: it is a label, as in `a_{tan}`.
    """
    merged: list[Node] = []
    at = 0
    while at < len(row):
        length = _function_length(row, at)
        word = tuple(node.token for node in row[at : at + length])
        last = row[at + length - 1]
        children = tuple((relation, _merge_functions(child)) for relation, child in last.children)
        merged.append(Node(FUNCTIONS.get(word, last.token), children))
        at += length
    return tuple(merged)


def _function_length(row: Row, start: int) -> int:
    """Letters of the spelled function name that starts at `start`; 1 if there is none."""
    for letters in FUNCTIONS:
        word = row[start : start + len(letters)]
        if tuple(node.token for node in word) != letters:
            continue
        has_argument = bool(word[-1].children) or start + len(letters) < len(row)
        if has_argument and not any(node.children for node in word[:-1]):
            return len(letters)
    return 1
