"""The productions of the grammar for whole expressions: equations, definitions, series, sets."""

from __future__ import annotations

from hmer.latex.tree import Row
from hmer.synthesis.grammar.nodes import bracketed, leaf, leaves, scripted
from hmer.synthesis.grammar.terms import Production, Terms, joined, separated


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
