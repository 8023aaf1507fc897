"""Hand-written expression grammar: statements and terms of school and university mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeVar

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


def limited(token: str, below: Row, above: Row) -> Node:
    r"""An operator with `\limits` below and above."""
    return Node(token, ((Relation.BELOW, below), (Relation.ABOVE, above)))


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


Symbols = Literal["school", "full"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Tokens by the role they play in an expression; an empty tuple switches a role off."""

    variables: tuple[str, ...]
    indices: tuple[str, ...]
    constants: tuple[str, ...]
    functions: tuple[str, ...]
    trigonometric: tuple[str, ...]
    products: tuple[str, ...]
    sums: tuple[str, ...]
    relations: tuple[str, ...]
    brackets: tuple[tuple[str, str], ...]
    sets: tuple[str, ...] = ()
    quantifiers: tuple[str, ...] = ()
    primes: bool = False
    factorial: bool = False
    decimals: bool = False
    ellipses: bool = False
    limits_command: bool = False
    slash: bool = False


SCHOOL = Inventory(
    variables=tuple("abcdkmntxyzxxyAB"),
    indices=tuple("nkn"),
    constants=(r"\alpha", r"\beta", r"\theta", r"\pi"),
    functions=(),
    trigonometric=(r"\sin", r"\cos"),
    products=(r"\times",),
    sums=("+", "-", "+"),
    relations=("=", "=", "=", "<", ">"),
    brackets=(("(", ")"),),
)
FULL = Inventory(
    variables=tuple("abcdefghijklmnopqrstuvwxyzxxyzabcnABCEFGHILMNPRSTVXY"),
    indices=tuple("ijknmp"),
    constants=(
        *(r"\alpha", r"\beta", r"\gamma", r"\lambda", r"\mu", r"\phi", r"\pi", r"\sigma"),
        *(r"\theta", r"\Delta", "e", r"\pi", r"\theta"),
    ),
    functions=(*"ffgFGhPu", r"\phi"),
    trigonometric=(r"\sin", r"\cos", r"\tan"),
    products=(r"\times", r"\cdot", r"\div", r"\times"),
    sums=("+", "-", "+", "-", r"\pm"),
    relations=("=", "=", "=", "=", r"\leq", r"\geq", r"\neq", "<", ">"),
    brackets=(("(", ")"), ("(", ")"), ("[", "]"), ("|", "|"), (r"\{", r"\}")),
    sets=tuple("ABCEFGHILMNPRSTVXY"),
    quantifiers=(r"\forall", r"\exists"),
    primes=True,
    factorial=True,
    decimals=True,
    ellipses=True,
    limits_command=True,
    slash=True,
)
INVENTORIES: dict[Symbols, Inventory] = {"school": SCHOOL, "full": FULL}


T = TypeVar("T")
Production = Callable[[int], Row]


class Terms:
    """Productions over one inventory, drawing on one random generator."""

    def __init__(self, inventory: Inventory, depth: int, rng: np.random.Generator) -> None:
        self.have = inventory
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


class Statements(Terms):
    """Whole expressions over one inventory."""

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
            options += [(self.limit, 0.2), (self.identity, 0.7)]
        if have.sets:
            options += [(self.membership, 0.5), (self.set_of, 0.5)]
        if have.ellipses:
            options.append((self.series, 0.6))
        if have.functions:
            options.append((self.function_definition, 0.9))
        return self.weighted(options)(depth)

    def equation(self, depth: int) -> Row:
        """Two sums with a relation between them."""
        return (*self.sum(depth), leaf(self.pick(self.have.relations)), *self.sum(depth))

    def definition(self, depth: int) -> Row:
        """A variable, a relation, a sum."""
        left = self.subscript(depth) if depth and self.chance(0.3) else self.variable()
        return (*left, leaf(self.pick(self.have.relations)), *self.sum(depth))

    def function_definition(self, depth: int) -> Row:
        """f ( x ) = ..., now and then with a prime."""
        name = self.pick(self.have.functions)
        variable = self.variable()
        head: Row = (leaf(name),)
        if self.have.primes and self.chance(0.2):
            prime = leaves(*[r"\prime"] * (1 + self.chance(0.2)))
            head = (scripted(name, sup=prime),) if depth and self.chance(0.6) else leaves(name, "'")
        return (*head, *bracketed("(", variable, ")"), leaf("="), *self.sum(depth))

    def arithmetic(self, depth: int) -> Row:
        """Sums and products of numbers, with or without a result."""
        parts: list[Row] = [self.number()]
        for _ in range(1 + self.chance(0.4)):
            parts += [leaves(self.pick(self.have.sums + self.have.products)), self.number()]
        if self.have.slash and self.chance(0.2):
            parts += [leaves("/"), self.number()]
        if self.chance(0.6):
            parts += [leaves(self.pick(self.have.relations)), self.number()]
        return joined(parts)

    def pair(self, depth: int) -> Row:
        """Two terms and a comma, mostly in brackets."""
        opening, closing = self.pick(self.have.brackets)
        inner = (*self.sum(0, 1), leaf(","), *self.sum(0, 1))
        return inner if self.chance(0.3) else bracketed(opening, inner, closing)

    def identity(self, depth: int) -> Row:
        """Squares and their like: a ^ 2 + b ^ 2 = c ^ 2."""
        exponent = self.pick("223")
        terms = [(scripted(v[0].token, sup=leaves(exponent)),) for v in self.distinct(3)]
        sign = leaves(self.pick(self.have.sums))
        whole = (*terms[0], *sign, *terms[1])
        return (*whole, leaf("="), *terms[2]) if self.chance(0.6) else whole

    def limit(self, depth: int) -> Row:
        """A limit of a term."""
        variable = self.pick((*self.have.indices, "x", "t"))
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
        """An element of a set, mostly quantified."""
        core = (*self.variable(), leaf(r"\in"), leaf(self.pick(self.have.sets)))
        return (leaf(self.pick(self.have.quantifiers)), *core) if self.chance(0.7) else core

    def set_of(self, depth: int) -> Row:
        """A set by its elements, named or not."""
        elements = separated([self.atom() for _ in range(int(self.rng.integers(1, 4)))], ",")
        if self.chance(0.3):
            elements = (*elements, leaf(","), leaf(r"\ldots"))
        body = bracketed(r"\{", elements, r"\}")
        return (leaf(self.pick(self.have.sets)), leaf("="), *body) if self.chance(0.5) else body


_ATTEMPTS = 2000


class GrammarConfig(BaseModel):
    """What expressions are sampled. The defaults suit a small model on one processor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: Symbols = "school"
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
        productions = Statements(INVENTORIES[config.symbols], config.max_depth, rng)
        for _ in range(_ATTEMPTS):
            row = productions.statement()
            if config.min_tokens <= len(serialise(row)) <= config.max_tokens:
                return row
        raise HmerError(
            f"no expression of {config.min_tokens} to {config.max_tokens} tokens was found in "
            f"{_ATTEMPTS} attempts; widen min_tokens and max_tokens"
        )
