"""Expression grammar fitted to captions: an n-gram model of structure trees with back-off."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from hmer.errors import HmerError, LatexError
from hmer.latex.tree import Node, Relation, Row, expression_depth, parse, rows, serialise, symbols
from hmer.synthesis.base import LONGEST
from hmer.synthesis.substitutions import BRACKETS, Renamer, rarity

Unit = tuple[str, tuple[Relation, ...]]
"""A token and the relations of its children, in order. ("", ()) ends a row."""
END: Unit = ("\n", ())
START: Unit = ("\r", ())

_OPERATORS = frozenset((r"\sum", r"\int", r"\lim", r"\log", r"\frac", r"\sqrt"))

Kind = tuple[str, str]
"""What a row hangs on: its relation, and the parent where that matters."""
ROOT: Kind = ("", "")


class _Choice(NamedTuple):
    """What follows one history: the options, the running sum of their weights, and how often the
    history is enough."""

    options: tuple[Unit, ...]
    sums: tuple[float, ...]
    trust: float


def kind_of(relation: Relation, parent: str) -> Kind:
    """The kind of a row that hangs on `parent`."""
    return str(relation), parent if parent in _OPERATORS else ""


def unit_of(node: Node) -> Unit:
    """The unit of a node."""
    return node.token, tuple(relation for relation, _ in node.children)


class TreeGram:
    """Conditional distributions of the next unit, longest history first."""

    def __init__(self, trees: Iterable[Row], weight: Mapping[str, float]) -> None:
        """Count the rows of `trees`; a token's weight multiplies its counts when drawing."""
        counts: defaultdict[Hashable, Counter[Unit]] = defaultdict(Counter)
        for tree in trees:
            for parent, relation, row in rows(tree):
                kind = kind_of(relation, parent.token) if parent and relation else ROOT
                before, last = START, START
                for unit in (*map(unit_of, row), END):
                    for history in _histories(kind, before, last):
                        counts[history][unit] += 1
                    before, last = last, unit
        self._choices = {history: _choice(found, weight) for history, found in counts.items()}

    def draw(self, kind: Kind, before: Unit, last: Unit, rng: np.random.Generator) -> Unit:
        """The unit after `before` and `last` in a row of this kind.

        Raises:
            KeyError: no row of this kind was ever seen.
        """
        choice = self._choices[(kind,)]
        for history in _histories(kind, before, last)[:-1]:
            longer = self._choices.get(history)
            if longer is not None and rng.random() < longer.trust:
                choice = longer
                break
        return choice.options[bisect_right(choice.sums, rng.random() * choice.sums[-1])]

    def __contains__(self, kind: object) -> bool:
        return (kind,) in self._choices


def _histories(kind: Kind, before: Unit, last: Unit) -> tuple[Hashable, ...]:
    """Longest first; tuples of different lengths, so that they do not collide."""
    return (kind, before, last), (kind, last), (last[0], bool(last[1]), "", ""), (kind,)


def _choice(found: Counter[Unit], weight: Mapping[str, float]) -> _Choice:
    total = found.total()
    options = tuple(sorted(found))
    weights = (found[unit] * weight.get(unit[0], 1.0) for unit in options)
    return _Choice(options, tuple(accumulate(weights)), total / (total + len(found)))


_ATTEMPTS = 200
_MAX_WEIGHT = 20.0
_RARE_BOOST = 0.5  # how far rare tokens are drawn more often: as often as others would be 1
_RENAMED = 0.5  # share of captions renamed rather than n-gram samples
MIN_TOKENS = 2
_MAX_DEPTH = 5
_CLOSE = frozenset(BRACKETS.values())


class FittedGrammar:
    """Samples expressions; picklable, and the same generator state gives the same expression.

    Captions that do not parse are left out; `tokens` counts the symbols of the others.
    """

    def __init__(self, captions: Iterable[Sequence[str]]) -> None:
        """Fit to the captions of a training split.

        Raises:
            HmerError: there is no caption that parses.
        """
        trees: list[Row] = []
        for caption in captions:
            with suppress(LatexError):
                trees.append(parse(caption))
        trees = [tree for tree in trees if tree]
        if not trees:
            raise HmerError("a grammar cannot be fitted: there is no caption that parses")
        self.tokens = Counter(node.token for tree in trees for node in symbols(tree))
        weight = rarity(self.tokens, _RARE_BOOST, _MAX_WEIGHT)
        self._gram = TreeGram(trees, weight)
        self._trees = trees
        self._renamer = Renamer(self.tokens, weight)

    def sample(self, rng: np.random.Generator) -> Row:
        """One expression. Raises HmerError: all that were drawn are too long or too deep."""
        for _ in range(_ATTEMPTS):
            if rng.random() < _RENAMED:
                row = self._renamer.rename(self._trees[int(rng.integers(len(self._trees)))], rng)
            else:
                row = _Draw(self._gram, rng).row(ROOT, 0)
            if _fits(row):
                return row
        raise HmerError(
            f"no expression of {MIN_TOKENS} to {LONGEST} tokens and at most {_MAX_DEPTH} levels "
            f"was found in {_ATTEMPTS} attempts; the captions are too few or too much alike"
        )


def _fits(row: Row) -> bool:
    if not row or expression_depth(row) > _MAX_DEPTH:
        return False
    try:
        return MIN_TOKENS <= len(serialise(row)) <= LONGEST
    except ValueError:  # a drawn unit that has no spelling where it landed
        return False


class _Draw:
    """One n-gram sample; brackets are kept balanced within each row."""

    def __init__(self, gram: TreeGram, rng: np.random.Generator) -> None:
        self.gram = gram
        self.rng = rng
        self.left = LONGEST

    def row(self, kind: Kind, depth: int) -> Row:
        """A row of this kind; the empty row where the budget of symbols is used up."""
        nodes: list[Node] = []
        waiting: list[str] = []
        before, last = START, START
        while True:
            unit = self._unit(kind, before, last, waiting, depth)
            if unit == END:
                return tuple(nodes)
            self.left -= 1
            token, relations = unit
            children = [(r, self.row(kind_of(r, token), depth + 1)) for r in relations]
            nodes.append(Node(token, tuple(children)))
            before, last = last, unit

    def _unit(self, kind: Kind, before: Unit, last: Unit, waiting: list[str], depth: int) -> Unit:
        """The next unit, one that keeps brackets balanced and the tree shallow enough."""
        for _ in range(8):
            unit = self.gram.draw(kind, before, last, self.rng)
            token = unit[0]
            if self.left <= 0 or (unit == END and waiting):
                return (waiting.pop(), ()) if waiting else END
            if unit[1] and depth >= _MAX_DEPTH:
                continue
            if token in _CLOSE:
                if not waiting or waiting[-1] != token:
                    continue
                waiting.pop()
            elif token in BRACKETS:
                waiting.append(BRACKETS[token])
            elif token == "|" and waiting and waiting[-1] == "|":
                waiting.pop()
            elif token == "|":
                waiting.append("|")
            return unit
        return (waiting.pop(), ()) if waiting else END
