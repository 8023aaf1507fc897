"""The productions of the grammar: statements, sums, terms, and what terms are made of.

`depth` is the number of levels of nesting (scripts, fractions, roots, limits) still allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

from hmer.latex.tree import Row
from hmer.synthesis.inventory import Inventory
from hmer.synthesis.nodes import (
    bracketed,
    fraction,
    leaf,
    leaves,
    limited,
    root,
    scripted,
)

T = TypeVar("T")
Production = Callable[[int], Row]


class Productions:
    """The productions over one inventory, drawing on one random generator."""

    def __init__(
        self,
        inventory: Inventory,
        weights: Mapping[str, float],
        depth: int,
        rng: np.random.Generator,
    ) -> None:
        self.have = inventory
        self.depth = depth
        self.rng = rng
        nested: dict[str, Production] = {
            "power": self.power,
            "subscript": self.subscript,
            "fraction": self.fraction,
            "root": self.root,
            "operator": self.operator,
        }
        flat: dict[str, Production] = {
            "plain": self.plain,
            "function": self.function,
            "bracket": self.bracket,
        }
        self._flat = [(production, weights[name]) for name, production in flat.items()]
        self._nested = self._flat + [(make, weights[name]) for name, make in nested.items()]

    # --- chance ---

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        sums = list(accumulate(weight for _, weight in options))
        at = self.rng.random() * sums[-1]
        return next(item for (item, _), upto in zip(options, sums, strict=True) if at < upto)

    # --- what a whole expression can be ---

    def statement(self) -> Row:
        """A whole expression."""
        depth, have = self.depth, self.have
        options: list[tuple[Production, float]] = [
            (self.sum, 4.0),
            (self.equation, 4.0),
            (self.definition, 2.0),
            (self.arithmetic, 1.2),
            (self.pair, 0.6),
            (self.term, 2.0),
        ]
        if depth:
            options += [(self.limit, 0.4), (self.identity, 0.7)]
        if have.sets:
            options += [(self.membership, 0.5), (self.set_of, 0.5)]
        if have.ellipses:
            options.append((self.series, 0.6))
        if have.functions:
            options.append((self.function_definition, 0.9))
        return self.weighted(options)(depth)

    def equation(self, depth: int) -> Row:
        return (*self.sum(depth), leaf(self.pick(self.have.relations)), *self.sum(depth))

    def definition(self, depth: int) -> Row:
        left = self.subscript(depth) if depth and self.chance(0.3) else self.variable()
        return (*left, leaf(self.pick(self.have.relations)), *self.sum(depth))

    def function_definition(self, depth: int) -> Row:
        name = self.pick(self.have.functions)
        variable = self.variable()
        head = (leaf(name),)
        if self.have.primes and self.chance(0.2):
            prime = leaves(*[r"\prime"] * (1 + self.chance(0.2)))
            head = (scripted(name, sup=prime),) if depth and self.chance(0.6) else leaves(name, "'")
        return (*head, *bracketed("(", variable, ")"), leaf("="), *self.sum(depth))

    def arithmetic(self, depth: int) -> Row:
        parts: list[Row] = [self.number()]
        for _ in range(1 + self.chance(0.4)):
            parts += [leaves(self.pick(self.have.sums + self.have.products)), self.number()]
        if self.have.slash and self.chance(0.2):
            parts += [leaves("/"), self.number()]
        if self.chance(0.6):
            parts += [leaves(self.pick(self.have.relations)), self.number()]
        return _joined(parts)

    def pair(self, depth: int) -> Row:
        opening, closing = self.pick(self.have.brackets)
        inner = (*self.sum(0, 1), leaf(","), *self.sum(0, 1))
        return inner if self.chance(0.3) else bracketed(opening, inner, closing)

    def identity(self, depth: int) -> Row:
        """Squares and their like: a ^ 2 + b ^ 2 = c ^ 2."""
        exponent = self.pick("223")
        terms = [(scripted(v[0].token, sup=leaves(exponent)),) for v in self._variables(3)]
        sign = leaves(self.pick(self.have.sums))
        whole = (*terms[0], *sign, *terms[1])
        return (*whole, leaf("="), *terms[2]) if self.chance(0.6) else whole

    def limit(self, depth: int) -> Row:
        variable = self.pick(self.have.indices + ("x", "t"))
        target = leaves(r"\infty") if self.chance(0.6) else leaves("0")
        below = (leaf(variable), leaf(r"\rightarrow"), *target)
        return (scripted(r"\lim", sub=below), *self.term(depth))

    def series(self, depth: int) -> Row:
        """1 + 2 + \\ldots + n and a _ 1 , \\ldots , a _ n."""
        last = leaves(self.pick(self.have.indices))
        if self.chance(0.5) or not depth:
            sign, dots = self.pick(((",", r"\ldots"), ("+", r"\cdots"), ("+", r"\ldots")))
            first = leaves("1", sign, "2", sign)
        else:
            name = self.pick(self.have.variables)
            sign, dots = self.pick(((",", r"\ldots"), ("+", r"\cdots")))
            first = (scripted(name, sub=leaves("1")), leaf(sign))
            last = (scripted(name, sub=last),)
        return (*first, leaf(dots), leaf(sign), *last)

    def membership(self, depth: int) -> Row:
        core = (*self.variable(), leaf(r"\in"), leaf(self.pick(self.have.sets)))
        return (leaf(self.pick(self.have.quantifiers)), *core) if self.chance(0.7) else core

    def set_of(self, depth: int) -> Row:
        elements = _separated([self.atom() for _ in range(int(self.rng.integers(1, 4)))], ",")
        if self.chance(0.3):
            elements = (*elements, leaf(","), leaf(r"\ldots"))
        body = bracketed(r"\{", elements, r"\}")
        return (leaf(self.pick(self.have.sets)), leaf("="), *body) if self.chance(0.5) else body

    # --- sums and terms ---

    def sum(self, depth: int, most: int = 3) -> Row:
        """One to `most` terms, perhaps with a sign before the first."""
        count = min(most, 1 + self.chance(0.62) + self.chance(0.16))
        terms: list[Row] = [leaves("-")] if self.chance(0.06) else []
        for place in range(count):
            if place:
                terms.append(leaves(self.pick(self.have.sums)))
            terms.append(self.term(depth))
        return _joined(terms)

    def term(self, depth: int) -> Row:
        """A product of one to three factors, one of which may be nested."""
        main = self.weighted(self._nested if depth else self._flat)(depth)
        if main[0].token.isdigit() and len(main) == 1:
            return main
        if self.chance(0.2):
            main = (*self.number(1), *main)
        elif self.chance(0.08):
            main = (*main, leaf(self.pick(self.have.products)), *self.atom())
        return main

    def plain(self, depth: int) -> Row:
        if self.chance(0.35):
            return self.number()
        if self.have.factorial and self.chance(0.05):
            return (*self.atom(), leaf("!"))
        if self.have.slash and self.chance(0.06):
            return (*self.atom(), leaf("/"), *self.atom())
        if self.chance(0.15):
            return leaves(self.pick(self.have.constants))
        return (*self.variable(), *(self.variable() if self.chance(0.15) else ()))

    def power(self, depth: int) -> Row:
        base = self.pick(self.have.variables) if self.chance(0.8) else self.number(1)[0].token
        if self.chance(0.62):
            exponent = leaves(self.pick("2223456789"))
        else:
            exponent = self._script(depth - 1)
        sub = leaves(self.pick("012")) if self.chance(0.06) else None
        return (scripted(base, sub=sub, sup=exponent),)

    def subscript(self, depth: int) -> Row:
        name = self.pick(self.have.variables + self.have.constants)
        return (scripted(name, sub=self._script(0)),)

    def _script(self, depth: int) -> Row:
        """What stands in a script: an index, a number, now and then a small sum."""
        if self.chance(0.4):
            return leaves(self.pick(self.have.indices))
        if self.chance(0.5):
            return leaves(self.pick("012123456789"))
        if self.chance(0.4):
            sign = self.pick(("+", "-"))
            return (leaf(self.pick(self.have.indices)), leaf(sign), leaf(self.pick("12")))
        return self.sum(depth, 1) if depth > 0 else self.atom()

    def fraction(self, depth: int) -> Row:
        inner = depth - 1
        if self.chance(0.35):
            return (fraction(self.number(), self.number()),)
        if self.chance(0.4):
            return (fraction(self.atom(), self.sum(inner, 2)),)
        return (fraction(self.sum(inner, 2), self.sum(inner, 2)),)

    def root(self, depth: int) -> Row:
        index = leaves(self.pick("3345n" if "n" in self.have.variables else "334"))
        radicand = self.atom() if self.chance(0.35) else self.sum(depth - 1, 2)
        return (root(radicand, index if self.chance(0.15) else None),)

    def function(self, depth: int) -> Row:
        if self.have.functions and self.chance(0.3):
            name = (leaf(self.pick(self.have.functions)),)
            return (*name, *bracketed("(", self.atom(), ")"))
        if self.chance(0.25):
            sub = leaves(self.pick("23a")) if depth and self.chance(0.5) else None
            return (scripted(r"\log", sub=sub), *self.atom())
        sup = leaves("2") if depth and self.chance(0.2) else None
        head = scripted(self.pick(self.have.trigonometric), sup=sup)
        angle = self.pick(self.have.constants) if self.chance(0.5) else self.pick("xt")
        argument = leaves(angle)
        if self.chance(0.2):
            argument = (*self.number(1), *argument)
        return (head, *argument)

    def bracket(self, depth: int) -> Row:
        opening, closing = self.pick(self.have.brackets)
        sup = leaves(self.pick("22n")) if depth and self.chance(0.35) else None
        content = self.sum(max(0, depth - 1) if self.chance(0.3) else 0, 2)
        return bracketed(opening, content, closing, sup)

    def operator(self, depth: int) -> Row:
        """A sum with limits, or an integral with or without them, and what it acts on."""
        if self.chance(0.5):
            index = self.pick(self.have.indices)
            lower = leaves(index, "=", self.pick("011"))
            upper = leaves(self.pick((r"\infty", *self.have.indices)))
            kind = self.rng.random()
            head = scripted(
                r"\sum", lower if kind < 0.75 else leaves(index), upper if kind < 0.75 else None
            )
            return (head, *self.term(depth - 1))
        if self.have.limits_command and self.chance(0.25):
            head = limited(r"\int", self.atom(), self.atom())
        elif self.chance(0.6):
            lower, upper = leaves(self.pick("0001a")), leaves(self.pick(("1", "2", r"\pi", "b")))
            head = scripted(r"\int", lower, upper)
        else:
            head = leaf(r"\int")
        return (head, *self.term(depth - 1), leaf("d"), leaf(self.pick("xxty")))

    # --- atoms ---

    def atom(self) -> Row:
        if self.chance(0.4):
            return self.number()
        return self.variable()

    def variable(self) -> Row:
        return leaves(self.pick(self.have.variables))

    def _variables(self, count: int) -> list[Row]:
        start = int(self.rng.integers(len(self.have.variables)))
        names = sorted(set(self.have.variables))
        return [leaves(names[(start + step) % len(names)]) for step in range(count)]

    def number(self, digits: int | None = None) -> Row:
        """A number literal without leading zeros, decimals where the inventory has them."""
        if digits is None:
            digits = 1 + self.chance(0.4) + self.chance(0.12)
        literal = [self.pick("123456789"), *(self.pick("0123456789") for _ in range(digits - 1))]
        if self.have.decimals and self.chance(0.07):
            literal += [".", self.pick("0123456789")]
        return leaves(*literal)


def _joined(parts: Sequence[Row]) -> Row:
    return tuple(node for part in parts for node in part)


def _separated(rows: Sequence[Row], separator: str) -> Row:
    parts: list[Row] = []
    for place, row in enumerate(rows):
        parts += [leaves(separator), row] if place else [row]
    return _joined(parts)
