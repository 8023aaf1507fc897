"""An n-gram model of structure trees, with back-off, estimated from captions.

A row is a sequence of units: a symbol together with which relations hang on it. The next unit
depends on the row's kind (what it hangs on) and on the two units before it; Witten and Bell's
interpolation (IEEE Trans. Information Theory 37, 1991) falls back to shorter histories: with
N occurrences of a history and T different continuations, it is believed with N / (N + T).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from hmer.latex.tree import Node, Relation, Row

Unit = tuple[str, tuple[Relation, ...]]
"""A token and the relations of its children, in order. ("", ()) ends a row."""
END: Unit = ("\n", ())
START: Unit = ("\r", ())

_OPERATORS = frozenset((r"\sum", r"\int", r"\lim", r"\log", r"\frac", r"\sqrt"))

Kind = tuple[str, str]
"""What a row hangs on: its relation, and the parent where that matters."""
ROOT: Kind = ("", "")


@dataclass(frozen=True, slots=True)
class Choice:
    """What follows one history: the options, and the running sum of their weights."""

    options: tuple[Unit, ...]
    sums: tuple[float, ...]
    trust: float

    def draw(self, rng: np.random.Generator) -> Unit:
        """One option, likely in proportion to its weight."""
        return self.options[bisect_right(self.sums, rng.random() * self.sums[-1])]


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
            for kind, row in _rows(tree, ROOT):
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
        return choice.draw(rng)

    def __contains__(self, kind: object) -> bool:
        return (kind,) in self._choices


def _histories(kind: Kind, before: Unit, last: Unit) -> tuple[Hashable, ...]:
    """Longest first; tuples of different lengths, so that they do not collide."""
    return (kind, before, last), (kind, last), (last[0], bool(last[1]), "", ""), (kind,)


def _rows(row: Row, kind: Kind) -> Iterator[tuple[Kind, Row]]:
    yield kind, row
    for node in row:
        for relation, child in node.children:
            yield from _rows(child, kind_of(relation, node.token))


def _choice(found: Counter[Unit], weight: Mapping[str, float]) -> Choice:
    total = found.total()
    options = tuple(sorted(found))
    weights = (found[unit] * weight.get(unit[0], 1.0) for unit in options)
    return Choice(options, tuple(accumulate(weights)), total / (total + len(found)))
