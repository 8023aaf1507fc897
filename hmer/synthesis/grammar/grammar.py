"""Hand-written expression grammar: statements and terms of school mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hmer.errors import HmerError
from hmer.latex.tree import Node, Relation, Row, serialise


def _leaves(*tokens: str) -> Row:
    return tuple(Node(token) for token in tokens)


def _scripted(token: str, sub: Row | None = None, sup: Row | None = None) -> Node:
    scripts = ((Relation.SUB, sub), (Relation.SUP, sup))
    return Node(token, tuple((relation, row) for relation, row in scripts if row is not None))


_VARIABLES = tuple("abcdkmntxyzxxyAB")
_INDICES = tuple("nkn")
_CONSTANTS = (r"\alpha", r"\beta", r"\theta", r"\pi")
_TRIGONOMETRIC = (r"\sin", r"\cos")
_PRODUCTS = (r"\times",)
_SUMS = ("+", "-", "+")
_RELATIONS = ("=", "=", "=", "<", ">")
_BRACKETS = (("(", ")"),)

T = TypeVar("T")
Production = Callable[[int], Row]


class _Draw:
    """Productions of statements and terms; `depth` is how deep they may nest."""

    def __init__(self, depth: int, rng: np.random.Generator) -> None:
        self.depth = depth
        self.rng = rng
        # Relative frequencies of the kinds of terms.
        self._flat: list[tuple[Production, float]] = [
            (self.plain, 3.0),
            (self.function, 0.7),
            (self.bracket, 0.7),
        ]
        self._nested: list[tuple[Production, float]] = [
            *self._flat,
            (self.power, 2.0),
            (self.subscript, 0.9),
            (self.fraction, 2.4),
            (self.root, 1.0),
            (self.operator, 1.2),
        ]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options, likely in proportion to the weight beside it."""
        sums = list(accumulate(weight for _, weight in options))
        at = self.rng.random() * sums[-1]
        return next(item for (item, _), upto in zip(options, sums, strict=True) if at < upto)

    # --- statements ---

    def statement(self) -> Row:
        options: list[tuple[Production, float]] = [
            (self.sum, 4.0),
            (self.equation, 4.0),
            (self.definition, 2.0),
            (self.arithmetic, 1.2),
            (self.pair, 0.6),
            (self.term, 2.0),
        ]
        if self.depth:
            options += [(self.limit, 0.2), (self.identity, 0.7)]
        return self.weighted(options)(self.depth)

    def equation(self, depth: int) -> Row:
        return (*self.sum(depth), Node(self.pick(_RELATIONS)), *self.sum(depth))

    def definition(self, depth: int) -> Row:
        left = self.subscript(depth) if depth and self.chance(0.3) else self.variable()
        return (*left, Node(self.pick(_RELATIONS)), *self.sum(depth))

    def arithmetic(self, depth: int) -> Row:
        """Sums and products of numbers, with or without a result."""
        row = self.number()
        for _ in range(1 + self.chance(0.4)):
            row = (*row, Node(self.pick(_SUMS + _PRODUCTS)), *self.number())
        if self.chance(0.6):
            row = (*row, Node(self.pick(_RELATIONS)), *self.number())
        return row

    def pair(self, depth: int) -> Row:
        """Two terms and a comma, mostly in brackets."""
        opening, closing = self.pick(_BRACKETS)
        inner = (*self.sum(0, 1), Node(","), *self.sum(0, 1))
        return inner if self.chance(0.3) else (Node(opening), *inner, Node(closing))

    def identity(self, depth: int) -> Row:
        """Squares and their like: a ^ 2 + b ^ 2 = c ^ 2, of neighbours in the alphabet."""
        exponent = self.pick("223")
        names, start = sorted(set(_VARIABLES)), int(self.rng.integers(len(_VARIABLES)))
        a, b, c = (
            _scripted(names[(start + step) % len(names)], sup=_leaves(exponent))
            for step in range(3)
        )
        whole = (a, Node(self.pick(_SUMS)), b)
        return (*whole, Node("="), c) if self.chance(0.6) else whole

    def limit(self, depth: int) -> Row:
        variable = self.pick((*_INDICES, "x", "t"))
        target = r"\infty" if self.chance(0.6) else "0"
        below = _leaves(variable, r"\rightarrow", target)
        return (_scripted(r"\lim", sub=below), *self.term(depth))

    # --- sums and terms ---

    def sum(self, depth: int, most: int = 3) -> Row:
        """One to `most` terms, perhaps with a sign before the first."""
        count = min(most, 1 + self.chance(0.62) + self.chance(0.16))
        row = _leaves("-") if self.chance(0.06) else ()
        for place in range(count):
            if place:
                row = (*row, Node(self.pick(_SUMS)))
            row = (*row, *self.term(depth))
        return row

    def term(self, depth: int) -> Row:
        """A product of one to three factors, one of which may be nested."""
        main = self.weighted(self._nested if depth else self._flat)(depth)
        if main[0].token.isdigit() and len(main) == 1:
            return main
        if self.chance(0.2):
            return (*self.coefficient(), *main)
        if self.chance(0.08):
            return (*main, Node(self.pick(_PRODUCTS)), *self.atom())
        return main

    def plain(self, depth: int) -> Row:
        """A number, one or two variables, a constant."""
        if self.chance(0.35):
            return self.number()
        if self.chance(0.15):
            return _leaves(self.pick(_CONSTANTS))
        return (*self.variable(), *(self.variable() if self.chance(0.15) else ()))

    def power(self, depth: int) -> Row:
        base = self.pick(_VARIABLES) if self.chance(0.8) else self.number(1)[0].token
        simple = self.chance(0.62)
        exponent = _leaves(self.pick("2223456789")) if simple else self.script(depth - 1)
        sub = _leaves(self.pick("012")) if self.chance(0.06) else None
        return (_scripted(base, sub=sub, sup=exponent),)

    def subscript(self, depth: int) -> Row:
        name = self.pick(_VARIABLES + _CONSTANTS)
        return (_scripted(name, sub=self.script(0)),)

    def script(self, depth: int) -> Row:
        """An index, a number, now and then a small sum."""
        if self.chance(0.4):
            return _leaves(self.pick(_INDICES))
        if self.chance(0.5):
            return _leaves(self.pick("012123456789"))
        if self.chance(0.4):
            sign = self.pick(("+", "-"))
            return _leaves(self.pick(_INDICES), sign, self.pick("12"))
        return self.sum(depth, 1) if depth > 0 else self.atom()

    def fraction(self, depth: int) -> Row:
        """Of numbers, atoms or sums."""
        inner = depth - 1
        if self.chance(0.35):
            above, below = self.number(), self.number()
        elif self.chance(0.4):
            above, below = self.atom(), self.sum(inner, 2)
        else:
            above, below = self.sum(inner, 2), self.sum(inner, 2)
        return (Node(r"\frac", ((Relation.ABOVE, above), (Relation.BELOW, below))),)

    def root(self, depth: int) -> Row:
        """A square root, now and then of a higher order."""
        index = (Relation.INDEX, _leaves(self.pick("3345n")))
        radicand = self.atom() if self.chance(0.35) else self.sum(depth - 1, 2)
        inside = (Relation.INSIDE, radicand)
        return (Node(r"\sqrt", (index, inside) if self.chance(0.15) else (inside,)),)

    def function(self, depth: int) -> Row:
        """A named function of a simple argument."""
        if self.chance(0.25):
            sub = _leaves(self.pick("23a")) if depth and self.chance(0.5) else None
            return (_scripted(r"\log", sub=sub), *self.atom())
        sup = _leaves("2") if depth and self.chance(0.2) else None
        head = _scripted(self.pick(_TRIGONOMETRIC), sup=sup)
        angle = self.pick(_CONSTANTS) if self.chance(0.5) else self.pick("xt")
        factor = self.coefficient() if self.chance(0.2) else ()
        return (head, *factor, Node(angle))

    def bracket(self, depth: int) -> Row:
        """A sum in brackets, perhaps raised to a power."""
        opening, closing = self.pick(_BRACKETS)
        sup = _leaves(self.pick("22n")) if depth and self.chance(0.35) else None
        inner = max(0, depth - 1) if self.chance(0.3) else 0
        content = (*self.plain(inner), Node(self.pick(_SUMS)), *self.term(inner))
        return (Node(opening), *content, _scripted(closing, sup=sup))

    def operator(self, depth: int) -> Row:
        """A sum with limits, or an integral with or without them, and what it acts on."""
        if self.chance(0.5):
            index = self.pick(_INDICES)
            lower = _leaves(index, "=", self.pick("011"))
            upper = _leaves(self.pick((r"\infty", *_INDICES)))
            limited = self.rng.random() < 0.75
            head = _scripted(
                r"\sum", lower if limited else _leaves(index), upper if limited else None
            )
            return (head, *self.term(depth - 1))
        if self.chance(0.6):
            lower, upper = _leaves(self.pick("0001a")), _leaves(self.pick(("1", "2", r"\pi", "b")))
            head = _scripted(r"\int", lower, upper)
        else:
            head = Node(r"\int")
        return (head, *self.term(depth - 1), Node("d"), Node(self.pick("xxty")))

    # --- atoms ---

    def atom(self) -> Row:
        return self.number() if self.chance(0.4) else self.variable()

    def variable(self) -> Row:
        return _leaves(self.pick(_VARIABLES))

    def coefficient(self) -> Row:
        """A digit that is worth writing before a letter."""
        return _leaves(self.pick("23456789"))

    def number(self, digits: int | None = None) -> Row:
        """A number literal without leading zeros."""
        if digits is None:
            digits = 1 + self.chance(0.4) + self.chance(0.12)
        return _leaves(
            self.pick("123456789"), *(self.pick("0123456789") for _ in range(digits - 1))
        )


_ATTEMPTS = 2000


class GrammarConfig(BaseModel):
    """What expressions are sampled. The defaults suit a small model on one processor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_tokens: int = Field(default=3, ge=1, le=200)
    max_tokens: int = Field(default=14, ge=1, le=200)
    max_depth: int = Field(default=2, ge=0, le=8)

    @model_validator(mode="after")
    def _ordered(self) -> GrammarConfig:
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not exceed max_tokens")
        return self


class Grammar:
    """Samples expressions; holds no state besides its configuration."""

    def __init__(self, config: GrammarConfig | None = None) -> None:
        self.config = config or GrammarConfig()

    def sample(self, rng: np.random.Generator) -> Row:
        """One expression within the length and depth limits.

        Raises:
            HmerError: the limits leave nothing that the grammar can make.
        """
        config = self.config
        productions = _Draw(config.max_depth, rng)
        for _ in range(_ATTEMPTS):
            row = productions.statement()
            if config.min_tokens <= len(serialise(row)) <= config.max_tokens:
                return row
        raise HmerError(
            f"no expression of {config.min_tokens} to {config.max_tokens} tokens was found in "
            f"{_ATTEMPTS} attempts; widen min_tokens and max_tokens"
        )
