"""Substitution of symbols by others of their category: variables, digits, operators, brackets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from hmer.latex.tree import Node, Row, walk
from hmer.synthesis.base import TEMPERING, draw, running

_LOWER = tuple("abcdefghijklmnopqrstuvwxyz")
_UPPER = tuple("ABCEFGHILMNPRSTVXY")
_GREEK = (
    *(r"\alpha", r"\beta", r"\gamma", r"\lambda", r"\mu", r"\phi", r"\pi", r"\sigma"),
    *(r"\theta", r"\Delta"),
)
DIGITS = tuple("0123456789")
VARIABLES = frozenset((*_LOWER, *_UPPER, *_GREEK))

_FREE = (
    ("+", "-", r"\pm"),
    (r"\times", r"\div", r"\cdot", "/"),
    ("=", "<", ">", r"\leq", r"\geq", r"\neq"),
    (r"\sin", r"\cos", r"\tan", r"\log"),
    (r"\ldots", r"\cdots"),
    (r"\forall", r"\exists"),
)
"""Categories whose members are exchanged one by one, less often than variables."""

BRACKETS = {"(": ")", "[": "]", r"\{": r"\}"}
"""Opening brackets and what closes them."""

_VARIABLE, _DIGIT, _OTHER, _BRACKET, _CROSS = 0.55, 0.6, 0.15, 0.08, 0.12


def rarity(counts: Mapping[str, int], strength: float, most: float) -> dict[str, float]:
    """For every token how much more often than it occurs it is to be drawn, 1 for common ones.

    `strength` 0: not at all; 1: in proportion to how much rarer than the median token it is, up to
    `most`.
    """
    usual = float(np.median(list(counts.values())))
    return {
        token: min(most, max(1.0, usual / number) ** strength) for token, number in counts.items()
    }


class Renamer:
    """Renames symbols; what is common in the corpus is drawn often, what is rare a little more."""

    def __init__(self, counts: Mapping[str, int], weight: Mapping[str, float]) -> None:
        """Args: occurrences of every token, and what multiplies them (1 if it is not there)."""
        self._choices: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {}
        known = [pair for pair in BRACKETS.items() if counts.get(pair[0]) and counts.get(pair[1])]
        self._brackets = known or [("(", ")")]
        every = (*_LOWER, *_UPPER, *_GREEK)
        self._any = _weighted(every, counts, weight)
        for category in (_LOWER, _UPPER, _GREEK, DIGITS, *_FREE):
            choice = _weighted(category, counts, weight)
            self._choices |= dict.fromkeys(category, choice)

    def rename(self, row: Row, rng: np.random.Generator) -> Row:
        """The same tree with other symbols."""
        variables = dict.fromkeys(n.token for n in walk(row) if n.token in VARIABLES)
        integral = any(node.token == r"\int" for node in walk(row))
        names: dict[str, str] = {}
        for token in variables:
            fixed = integral and token == "d"  # of dx: no variable
            taken = {*variables, *names.values()}
            names[token] = token if fixed else self._variable(token, taken, rng)
        return self._row(row, names, rng)

    def _variable(self, token: str, taken: set[str], rng: np.random.Generator) -> str:
        if rng.random() >= _VARIABLE:
            return token
        choice = self._any if rng.random() < _CROSS else self._choices[token]
        new = _draw(choice, rng) or token
        return token if new in taken else new

    def _row(self, row: Row, names: Mapping[str, str], rng: np.random.Generator) -> Row:
        swap: dict[str, str] = {}
        if any(node.token in ("(", ")") for node in row) and rng.random() < _BRACKET:
            opening, closing = self._brackets[int(rng.integers(len(self._brackets)))]
            swap = {"(": opening, ")": closing}
        return tuple(
            Node(
                swap.get(node.token) or self._token(node.token, names, rng),
                tuple((kind, self._row(child, names, rng)) for kind, child in node.children),
            )
            for node in row
        )

    def _token(self, token: str, names: Mapping[str, str], rng: np.random.Generator) -> str:
        if token in names:
            return names[token]
        choice = self._choices.get(token)
        if choice is None or rng.random() >= (_DIGIT if token.isdigit() else _OTHER):
            return token
        return _draw(choice, rng) or token


def _weighted(
    tokens: tuple[str, ...], counts: Mapping[str, int], weight: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    known = tuple(token for token in tokens if counts.get(token))
    return known, tuple(accumulate(counts[token] * weight.get(token, 1.0) for token in known))


def _draw(
    choice: tuple[tuple[str, ...], tuple[float, ...]], rng: np.random.Generator
) -> str | None:
    options, sums = choice
    return options[bisect_right(sums, rng.random() * sums[-1])] if options else None


OPERATORS = r"+ - \times \div \pm \cdot"
RELATIONS = r"= < > \leq \geq \neq \in \rightarrow"

CATEGORIES: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in (
        "0 1 2 3 4 5 6 7 8 9",
        r"a c e m n o r s u v w x z \alpha \sigma \pi",
        r"b d f h i k l t \lambda \theta",
        r"g j p q y \gamma \mu \beta \phi",
        r"A B C E F G H I L M N P R S T V X Y \Delta",
        OPERATORS,
        RELATIONS,
        r"\sin \cos \tan \log",
        r"\forall \exists",
        r"\ldots \cdots",
    )
)
"""Tokens that can take one another's place; a token is in one category at most."""


class Lookalikes:
    """Draws another symbol for a symbol; rare ones more often than they occur."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """Prepare the draws of the tokens in `counts`."""
        self._others: dict[str, tuple[list[str], NDArray[np.float64]]] = {}
        for category in CATEGORIES:
            for token in category:
                others = [other for other in category if other != token and counts.get(other)]
                if others:
                    chance = np.array([counts[other] for other in others], np.float64) ** TEMPERING
                    self._others[token] = (others, running(chance))

    def another(self, token: str, rng: np.random.Generator) -> str | None:
        """Another token of the category of `token`; None if it has none."""
        if token not in self._others:
            return None
        others, below = self._others[token]
        return others[draw(below, rng)]
