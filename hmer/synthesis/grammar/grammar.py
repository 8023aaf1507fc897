"""Hand-written expression grammar: statements and terms of school mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hmer.errors import HmerError
from hmer.latex.tree import Node, Relation, Row, serialise


def leaf(token: str) -> Node:
    """A symbol without children."""
    return Node(token)


def leaves(*tokens: str) -> Row:
    """A row of plain symbols."""
    return tuple(Node(token) for token in tokens)


def scripted(token: str, sub: Row | None = None, sup: Row | None = None) -> Node:
    """A symbol with a subscript, a superscript or both, the subscript spelled first."""
    scripts = ((Relation.SUB, sub), (Relation.SUP, sup))
    return Node(token, tuple((relation, row) for relation, row in scripts if row is not None))


def fraction(numerator: Row, denominator: Row) -> Node:
    r"""A `\frac`."""
    return Node(r"\frac", ((Relation.ABOVE, numerator), (Relation.BELOW, denominator)))


def root(radicand: Row, index: Row | None = None) -> Node:
    r"""A `\sqrt`, with or without index."""
    inside = ((Relation.INSIDE, radicand),)
    return Node(r"\sqrt", inside if index is None else ((Relation.INDEX, index), *inside))


def bracketed(opening: str, content: Row, closing: str, sup: Row | None = None) -> Row:
    """Content between brackets, with an exponent on the closing one if given."""
    return (Node(opening), *content, scripted(closing, sup=sup))


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


class Terms:
    """Productions of terms, drawing on one random generator."""

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

    # --- chance ---

    def chance(self, share: float) -> bool:
        """True with the probability `share`."""
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.rng.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options, likely in proportion to the weight beside it."""
        sums = list(accumulate(weight for _, weight in options))
        at = self.rng.random() * sums[-1]
        return next(item for (item, _), upto in zip(options, sums, strict=True) if at < upto)

    # --- sums and terms ---

    def sum(self, depth: int, most: int = 3) -> Row:
        """One to `most` terms, perhaps with a sign before the first."""
        count = min(most, 1 + self.chance(0.62) + self.chance(0.16))
        terms: list[Row] = [leaves("-")] if self.chance(0.06) else []
        for place in range(count):
            if place:
                terms.append(leaves(self.pick(_SUMS)))
            terms.append(self.term(depth))
        return joined(terms)

    def term(self, depth: int) -> Row:
        """A product of one to three factors, one of which may be nested."""
        main = self.weighted(self._nested if depth else self._flat)(depth)
        if main[0].token.isdigit() and len(main) == 1:
            return main
        if self.chance(0.2):
            main = (*self.coefficient(), *main)
        elif self.chance(0.08):
            main = (*main, leaf(self.pick(_PRODUCTS)), *self.atom())
        return main

    def plain(self, depth: int) -> Row:
        """A number, one or two variables, a constant."""
        if self.chance(0.35):
            return self.number()
        if self.chance(0.15):
            return leaves(self.pick(_CONSTANTS))
        return (*self.variable(), *(self.variable() if self.chance(0.15) else ()))

    def power(self, depth: int) -> Row:
        """A letter or digit with an exponent."""
        base = self.pick(_VARIABLES) if self.chance(0.8) else self.number(1)[0].token
        simple = self.chance(0.62)
        exponent = leaves(self.pick("2223456789")) if simple else self._script(depth - 1)
        sub = leaves(self.pick("012")) if self.chance(0.06) else None
        return (scripted(base, sub=sub, sup=exponent),)

    def subscript(self, depth: int) -> Row:
        """A letter with an index."""
        name = self.pick(_VARIABLES + _CONSTANTS)
        return (scripted(name, sub=self._script(0)),)

    def _script(self, depth: int) -> Row:
        """What stands in a script: an index, a number, now and then a small sum."""
        if self.chance(0.4):
            return leaves(self.pick(_INDICES))
        if self.chance(0.5):
            return leaves(self.pick("012123456789"))
        if self.chance(0.4):
            sign = self.pick(("+", "-"))
            return (leaf(self.pick(_INDICES)), leaf(sign), leaf(self.pick("12")))
        return self.sum(depth, 1) if depth > 0 else self.atom()

    def fraction(self, depth: int) -> Row:
        """A fraction of numbers, atoms or sums."""
        inner = depth - 1
        if self.chance(0.35):
            return (fraction(self.number(), self.number()),)
        if self.chance(0.4):
            return (fraction(self.atom(), self.sum(inner, 2)),)
        return (fraction(self.sum(inner, 2), self.sum(inner, 2)),)

    def root(self, depth: int) -> Row:
        """A square root, now and then of a higher order."""
        index = leaves(self.pick("3345n"))
        radicand = self.atom() if self.chance(0.35) else self.sum(depth - 1, 2)
        return (root(radicand, index if self.chance(0.15) else None),)

    def function(self, depth: int) -> Row:
        """A named function of a simple argument."""
        if self.chance(0.25):
            sub = leaves(self.pick("23a")) if depth and self.chance(0.5) else None
            return (scripted(r"\log", sub=sub), *self.atom())
        sup = leaves("2") if depth and self.chance(0.2) else None
        head = scripted(self.pick(_TRIGONOMETRIC), sup=sup)
        angle = self.pick(_CONSTANTS) if self.chance(0.5) else self.pick("xt")
        argument = leaves(angle)
        if self.chance(0.2):
            argument = (*self.coefficient(), *argument)
        return (head, *argument)

    def bracket(self, depth: int) -> Row:
        """A sum in brackets, perhaps raised to a power."""
        opening, closing = self.pick(_BRACKETS)
        sup = leaves(self.pick("22n")) if depth and self.chance(0.35) else None
        inner = max(0, depth - 1) if self.chance(0.3) else 0
        content = (*self.plain(inner), leaf(self.pick(_SUMS)), *self.term(inner))
        return bracketed(opening, content, closing, sup)

    def operator(self, depth: int) -> Row:
        """A sum with limits, or an integral with or without them, and what it acts on."""
        if self.chance(0.5):
            index = self.pick(_INDICES)
            lower = leaves(index, "=", self.pick("011"))
            upper = leaves(self.pick((r"\infty", *_INDICES)))
            kind = self.rng.random()
            head = scripted(
                r"\sum", lower if kind < 0.75 else leaves(index), upper if kind < 0.75 else None
            )
            return (head, *self.term(depth - 1))
        if self.chance(0.6):
            lower, upper = leaves(self.pick("0001a")), leaves(self.pick(("1", "2", r"\pi", "b")))
            head = scripted(r"\int", lower, upper)
        else:
            head = leaf(r"\int")
        return (head, *self.term(depth - 1), leaf("d"), leaf(self.pick("xxty")))

    # --- atoms ---

    def atom(self) -> Row:
        """A number or a variable."""
        if self.chance(0.4):
            return self.number()
        return self.variable()

    def variable(self) -> Row:
        """A single letter."""
        return leaves(self.pick(_VARIABLES))

    def distinct(self, count: int) -> list[Row]:
        """Different letters, neighbours in the alphabet of the inventory."""
        start = int(self.rng.integers(len(_VARIABLES)))
        names = sorted(set(_VARIABLES))
        return [leaves(names[(start + step) % len(names)]) for step in range(count)]

    def coefficient(self) -> Row:
        """A digit that is worth writing before a letter."""
        return leaves(self.pick("23456789"))

    def number(self, digits: int | None = None) -> Row:
        """A number literal without leading zeros."""
        if digits is None:
            digits = 1 + self.chance(0.4) + self.chance(0.12)
        literal = [self.pick("123456789"), *(self.pick("0123456789") for _ in range(digits - 1))]
        return leaves(*literal)


def joined(parts: Sequence[Row]) -> Row:
    """The rows one after the other, as one row."""
    return tuple(node for part in parts for node in part)


class Statements(Terms):
    """Whole expressions."""

    def statement(self) -> Row:
        """A whole expression."""
        depth = self.depth
        options: list[tuple[Production, float]] = [
            (self.sum, 4.0),
            (self.equation, 4.0),
            (self.definition, 2.0),
            (self.arithmetic, 1.2),
            (self.pair, 0.6),
            (self.term, 2.0),
        ]
        if depth:
            options += [(self.limit, 0.2), (self.identity, 0.7)]
        return self.weighted(options)(depth)

    def equation(self, depth: int) -> Row:
        """Two sums with a relation between them."""
        return (*self.sum(depth), leaf(self.pick(_RELATIONS)), *self.sum(depth))

    def definition(self, depth: int) -> Row:
        """A variable, a relation, a sum."""
        left = self.subscript(depth) if depth and self.chance(0.3) else self.variable()
        return (*left, leaf(self.pick(_RELATIONS)), *self.sum(depth))

    def arithmetic(self, depth: int) -> Row:
        """Sums and products of numbers, with or without a result."""
        parts: list[Row] = [self.number()]
        for _ in range(1 + self.chance(0.4)):
            parts += [leaves(self.pick(_SUMS + _PRODUCTS)), self.number()]
        if self.chance(0.6):
            parts += [leaves(self.pick(_RELATIONS)), self.number()]
        return joined(parts)

    def pair(self, depth: int) -> Row:
        """Two terms and a comma, mostly in brackets."""
        opening, closing = self.pick(_BRACKETS)
        inner = (*self.sum(0, 1), leaf(","), *self.sum(0, 1))
        return inner if self.chance(0.3) else bracketed(opening, inner, closing)

    def identity(self, depth: int) -> Row:
        """Squares and their like: a ^ 2 + b ^ 2 = c ^ 2."""
        exponent = self.pick("223")
        terms = [(scripted(v[0].token, sup=leaves(exponent)),) for v in self.distinct(3)]
        sign = leaves(self.pick(_SUMS))
        whole = (*terms[0], *sign, *terms[1])
        return (*whole, leaf("="), *terms[2]) if self.chance(0.6) else whole

    def limit(self, depth: int) -> Row:
        """A limit of a term."""
        variable = self.pick((*_INDICES, "x", "t"))
        target = leaves(r"\infty") if self.chance(0.6) else leaves("0")
        below = (leaf(variable), leaf(r"\rightarrow"), *target)
        return (scripted(r"\lim", sub=below), *self.term(depth))


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
        productions = Statements(config.max_depth, rng)
        for _ in range(_ATTEMPTS):
            row = productions.statement()
            if config.min_tokens <= len(serialise(row)) <= config.max_tokens:
                return row
        raise HmerError(
            f"no expression of {config.min_tokens} to {config.max_tokens} tokens was found in "
            f"{_ATTEMPTS} attempts; widen min_tokens and max_tokens"
        )
