"""The productions of the grammar up to a sum: atoms, terms, and what terms are made of.

`depth` is the number of levels of nesting (scripts, fractions, roots, limits) still allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

from hmer.latex.tree import Row
from hmer.synthesis.grammar.inventory import Inventory
from hmer.synthesis.grammar.nodes import (
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


class Terms:
    """Productions over one inventory, drawing on one random generator."""

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
                terms.append(leaves(self.pick(self.have.sums)))
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
            main = (*main, leaf(self.pick(self.have.products)), *self.atom())
        return main

    def plain(self, depth: int) -> Row:
        """A number, one or two variables, a constant; factorials and slashes if there are any."""
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
        """A letter or digit with an exponent."""
        base = self.pick(self.have.variables) if self.chance(0.8) else self.number(1)[0].token
        simple = self.chance(0.62)
        exponent = leaves(self.pick("2223456789")) if simple else self._script(depth - 1)
        sub = leaves(self.pick("012")) if self.chance(0.06) else None
        return (scripted(base, sub=sub, sup=exponent),)

    def subscript(self, depth: int) -> Row:
        """A letter with an index."""
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
        """A fraction of numbers, atoms or sums."""
        inner = depth - 1
        if self.chance(0.35):
            return (fraction(self.number(), self.number()),)
        if self.chance(0.4):
            return (fraction(self.atom(), self.sum(inner, 2)),)
        return (fraction(self.sum(inner, 2), self.sum(inner, 2)),)

    def root(self, depth: int) -> Row:
        """A square root, now and then of a higher order."""
        index = leaves(self.pick("3345n" if "n" in self.have.variables else "334"))
        radicand = self.atom() if self.chance(0.35) else self.sum(depth - 1, 2)
        return (root(radicand, index if self.chance(0.15) else None),)

    def function(self, depth: int) -> Row:
        """A named function of a simple argument."""
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
            argument = (*self.coefficient(), *argument)
        return (head, *argument)

    def bracket(self, depth: int) -> Row:
        """A sum in brackets, perhaps raised to a power."""
        opening, closing = self.pick(self.have.brackets)
        sup = leaves(self.pick("22n")) if depth and self.chance(0.35) else None
        inner = max(0, depth - 1) if self.chance(0.3) else 0
        content = (*self.plain(inner), leaf(self.pick(self.have.sums)), *self.term(inner))
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
        """A number or a variable."""
        if self.chance(0.4):
            return self.number()
        return self.variable()

    def variable(self) -> Row:
        """A single letter."""
        return leaves(self.pick(self.have.variables))

    def distinct(self, count: int) -> list[Row]:
        """Different letters, neighbours in the alphabet of the inventory."""
        start = int(self.rng.integers(len(self.have.variables)))
        names = sorted(set(self.have.variables))
        return [leaves(names[(start + step) % len(names)]) for step in range(count)]

    def coefficient(self) -> Row:
        """A digit that is worth writing before a letter."""
        return leaves(self.pick("23456789"))

    def number(self, digits: int | None = None) -> Row:
        """A number literal without leading zeros, decimals where the inventory has them."""
        if digits is None:
            digits = 1 + self.chance(0.4) + self.chance(0.12)
        literal = [self.pick("123456789"), *(self.pick("0123456789") for _ in range(digits - 1))]
        if self.have.decimals and self.chance(0.07):
            literal += [".", self.pick("0123456789")]
        return leaves(*literal)


def joined(parts: Sequence[Row]) -> Row:
    """The rows one after the other, as one row."""
    return tuple(node for part in parts for node in part)


def separated(rows: Sequence[Row], separator: str) -> Row:
    """The rows with a separator between neighbours."""
    parts: list[Row] = []
    for place, row in enumerate(rows):
        parts += [leaves(separator), row] if place else [row]
    return joined(parts)
