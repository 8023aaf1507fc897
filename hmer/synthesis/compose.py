"""Compose: new LaTeX typeset in the sloppiness of hands, with the glyphs of real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError, InkError, LatexError
from hmer.ink.scale import normalise, own_unit, stroke_boxes
from hmer.latex.tree import CELL, LINE, MATRIX, Node, Relation, Row, parse, serialise, walk
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import LONGEST, NEVER_ALONE, Written, draw, running
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.foreign import alike, tokens_of
from hmer.synthesis.hands.placement_style import FittedManner
from hmer.synthesis.hands.writer import BankWriter
from hmer.synthesis.layout.layout import ACCENTS, write
from hmer.synthesis.substitutions import OPERATORS, RELATIONS, VARIABLES

KIND = "compose"

_LOYALTY = 0.9  # how often a glyph is the followed hand's own (or its collection's)


class Sampler(Protocol):
    """Where expressions come from."""

    def sample(self, rng: np.random.Generator) -> Row:
        """One structure tree, decided by `rng` alone."""
        ...


class Listed:
    """Samples the expressions of a list; a picklable `Sampler`."""

    def __init__(
        self,
        rows: Sequence[Row],
        share: float = 1.0,
        other: Sampler | None = None,
        lengths: Sequence[int] = (),
    ) -> None:
        """Take structure trees, at least one; with `other`, only a share of samples are of them.

        With `lengths`, in tokens, expressions come about as long as these, as far as the list has
        such; else all come equally often.
        """
        self.rows = tuple(rows)
        self.share = share
        self.other = other
        weights = np.ones(len(self.rows))
        if len(lengths):
            here = _length_class([len(serialise(row)) for row in self.rows])
            there = _length_class(lengths)
            wanted = np.bincount(there, minlength=int(here.max()) + 1)
            weights = wanted[here] / np.bincount(here)[here]
        self._below = running(weights if weights.any() else np.ones(len(self.rows)))

    def sample(self, rng: np.random.Generator) -> Row:
        """One of them."""
        if self.other is not None and rng.random() >= self.share:
            return self.other.sample(rng)
        return self.rows[draw(self._below, rng)]


def _length_class(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Classes of lengths in tokens, each a quarter wider than the one below."""
    classes: NDArray[np.float64] = np.rint(np.log(np.maximum(lengths, 1)) / np.log(1.25))
    return classes.astype(np.int64)


_BRACKETS = (("[", "]"), ("(", ")"), ("|", "|"), (r"\{",), ())
"""Around a matrix; open on one side for cases, none for lines under one another."""

_CELL_TOKENS = 8
_OFTEN = ("0", "1", "- 1", "2", "a", "b", "x", "y")


class Matrices:
    """Samples small matrices and cases of short rows; a picklable `Sampler`."""

    def __init__(self, captions: Sequence[Row]) -> None:
        """Take structure trees; the short ones among them fill the cells."""
        spelled = (serialise(row) for row in captions)
        self.short = [c for c in spelled if len(c) <= _CELL_TOKENS and MATRIX not in c]

    def sample(self, rng: np.random.Generator) -> Row:
        """One of them, after `caption =` for a third."""
        lines = int(rng.choice(4, p=(0.05, 0.5, 0.35, 0.1))) + 1
        columns = int(rng.choice(4, p=(0.25, 0.45, 0.25, 0.05))) + 1
        lines += lines * columns == 1
        simple = rng.random() < 0.5  # all of its cells
        body: list[str] = []
        for cell in range(lines * columns):
            if cell:
                body.append(CELL if cell % columns else LINE)
            body += self._cell(simple, rng)
        around = _BRACKETS[int(rng.choice(5, p=(0.3, 0.3, 0.1, 0.2, 0.1)))]
        before = [*self._cell(False, rng), "="] if rng.random() < 1 / 3 else []
        whole = [*before, *around[:1], MATRIX, "{", *body, "}", *around[1:]]
        return parse(whole) if len(whole) <= LONGEST else self.sample(rng)

    def _cell(self, simple: bool, rng: np.random.Generator) -> list[str]:
        if simple or not self.short:
            return _OFTEN[int(rng.integers(len(_OFTEN)))].split()
        return self.short[int(rng.integers(len(self.short)))]


_ROLE_OF = {
    **dict.fromkeys(RELATIONS.split(), "relation"),
    **dict.fromkeys(OPERATORS.split(), "operator"),
    **dict.fromkeys((r"\sum", r"\int"), "large"),
}
_VARIED = {"letter": 0.4, "relation": 0.5, "operator": 0.5, "large": 0.6}
"""How often a symbol of this role is exchanged."""
_CROHME = {*vocabulary("wap").tokens, LINE, CELL}
_ACCENTED = 0.25  # how often a letter gets an accent
_COVERED = 0.5  # how often a row with letters side by side gets a long accent over two of them
_BINOMIAL = 0.25  # how often a fraction becomes a binomial


def _role(token: str) -> str | None:
    """What a symbol does in an expression: letter, relation, operator, large operator."""
    if token in _ROLE_OF:
        return _ROLE_OF[token]
    if token in VARIABLES or token.isalpha():
        return "letter"
    return None


class Varied:
    """Puts rarer symbols of the same role into an expression, and accents on its letters.

    Captions of elsewhere have most of a wide vocabulary once in a thousand, which is too rarely to
    learn it. All symbols of a role come equally often; letters of an alphabet are one of them.
    """

    def __init__(self, classes: Iterable[str], captions: Iterable[Row]) -> None:
        """Take the classes of a glyph bank, and captions: accents that they have are put in."""
        used = Counter(node.token for row in captions for node in walk(row))
        self._accents, self._long = (
            [x for x in ACCENTS if x in used and ACCENTS[x].long == long] for long in (False, True)
        )
        self._often = {x: float(used[x] ** 0.25) for x in ACCENTS}
        self._binomials = r"\binom" in used
        self.others: dict[str, list[list[str]]] = {}
        groups: dict[str, list[str]] = {}
        for name in classes:
            groups.setdefault(tokens_of(name)[0], []).append(name)
        for token, names in groups.items():
            known = len(token) == 1 or token in _CROHME
            if role := _role(token if known else alike(token)):
                self.others.setdefault(role, []).append(names)

    def __call__(self, row: Row, rng: np.random.Generator) -> Row:
        """The same tree with other symbols."""
        nodes = [self._node(node, rng) for node in row]
        letters = [_role(node.token) == "letter" for node in row]
        pairs = [i for i, both in enumerate(pairwise(letters)) if all(both)]
        if pairs and self._long and rng.random() < _COVERED:
            first = pairs[int(rng.integers(len(pairs)))]
            pair = tuple(nodes[first : first + 2])
            nodes[first : first + 2] = [self._accented(pair, self._long, rng)]
        return tuple(nodes)

    def _accented(self, inside: Row, accents: Sequence[str], rng: np.random.Generator) -> Node:
        """A row under an accent; each comes by the fourth root of how often captions do."""
        below = running(np.array([self._often[accent] for accent in accents]))
        return Node(accents[draw(below, rng)], ((Relation.INSIDE, inside),))

    def _node(self, node: Node, rng: np.random.Generator) -> Node:
        children = tuple((relation, self(child, rng)) for relation, child in node.children)
        role = _role(node.token)
        token = node.token
        inside: tuple[tuple[Relation, Row], ...] = ()
        if role is not None and role in self.others and rng.random() < _VARIED[role]:
            names = self.others[role][int(rng.integers(len(self.others[role])))]
            (other,) = parse(tokens_of(names[int(rng.integers(len(names)))]))
            token, inside = other.token, other.children
        if token == r"\frac" and self._binomials and rng.random() < _BINOMIAL:
            token = r"\binom"
        if role == "letter" and self._accents and rng.random() < _ACCENTED:
            accent = self._accented((Node(token, inside),), self._accents, rng)
            token, inside = accent.token, accent.children
        return Node(token, (*inside, *children))


class ComposeConfig(BaseModel):
    """How expressions are composed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    foreign: float = Field(
        0.3, ge=0, le=1, description="how often a hand of isolated symbols is followed"
    )
    single: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of single symbols, by the eighth root of how often each token comes",
    )
    matrices: float = Field(0.0, ge=0, le=1, description="share of small matrices and cases")
    varied: float = Field(
        0.0, ge=0, le=1, description="share of expressions with rarer symbols and accents put in"
    )


_SAME_SHAPE = frozenset("ckopsuvwxz")
"""Letters whose cases differ in nothing but size, which a letter alone does not have."""


def alone(
    classes: Iterable[str], captions: Iterable[Sequence[str]]
) -> tuple[list[list[str]], NDArray[np.float64]]:
    """The classes of a bank in groups, and how often each group is written alone.

    Letters of an alphabet are one group. A group comes by the eighth root of how often captions
    have its token; of two cases of one shape the likelier one comes more often, by the square root.
    What alone looks like a likelier symbol (`NEVER_ALONE`) comes a tenth as often as others.
    """
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(tokens_of(name)[0], []).append(name)
    often = Counter(token for caption in captions for token in caption)
    counts = {token: 1.0 + often[token] for token in groups}
    shares = np.array([_share_alone(counts, token) for token in counts])
    return list(groups.values()), shares


def _share_alone(counts: Mapping[str, float], token: str) -> float:
    """How often a token that comes so many times is written alone."""
    cases = {token, token.swapcase()} if token.lower() in _SAME_SHAPE else {token}
    both = [counts[case] for case in cases if case in counts]
    share = np.sqrt(counts[token]) / np.sqrt(both).sum()
    rarely = 0.1 if token in NEVER_ALONE else 1.0
    return float(rarely * share * np.sum(both) ** 0.125 * len(both))


class Composer:
    """Composes expressions; picklable, the same generator state gives the same expression.

    Attributes:
        missing: tokens the bank lacked, written in the vector font instead, with their counts.
    """

    def __init__(
        self,
        bank: GlyphBank,
        grammar: Sampler,
        config: ComposeConfig | None = None,
        captions: Sequence[Row] = (),
    ) -> None:
        """Take captions to see how often a token comes, and for the cells of matrices.

        Raises:
            HmerError: the bank is empty.
        """
        if not len(bank):
            raise HmerError("the glyph bank is empty; cut it again")
        self.bank = bank
        self.grammar = grammar
        self.config = config or ComposeConfig()
        self.missing: Counter[str] = Counter()
        # More samples count, but less than in proportion.
        self._shares = bank.hands(np.sqrt(np.bincount(bank.writer_of)), self.config.foreign)
        likely = [name for name in bank.tokens if name not in NEVER_ALONE]
        self._alone, shares = alone(likely, map(serialise, captions))
        self._alone_below = running(shares)
        self._matrices = Matrices(captions)
        self._vary = Varied(bank.tokens, captions)

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """One expression; None where the grammar made something that cannot be written."""
        try:
            return self.write(self._drawn(rng), rng)
        except (LatexError, InkError):
            return None

    def _drawn(self, rng: np.random.Generator) -> Row:
        """What is written next."""
        kind = rng.random() if self.config.single or self.config.matrices else 1.0
        if self._alone and kind < self.config.single:
            classes = self._alone[draw(self._alone_below, rng)]
            return parse(tokens_of(classes[int(rng.integers(len(classes)))]))
        if 1.0 - self.config.matrices <= kind < 1.0:
            return self._matrices.sample(rng)
        row = self.grammar.sample(rng)
        if self.config.varied and rng.random() < self.config.varied:
            return self._vary(row, rng)
        return row

    def write(self, row: Row, rng: np.random.Generator) -> Written:
        """This expression in a hand drawn from `rng`.

        Raises:
            LatexError: a symbol has no glyph, or there is nothing to write.
            InkError: the ink spans more than `hmer.ink.scale.MAX_EXTENT`.
        """
        hand = self.hand(rng)
        ink = write(row, hand, rng, FittedManner(rng))
        ink = normalise(ink, own_unit(stroke_boxes(ink)))
        return Written(ink, serialise(row), KIND, hand=hand.source)

    def hand(self, rng: np.random.Generator) -> BankWriter:
        """A writer, drawn once per expression."""
        source = self.bank.writers[int(rng.choice(len(self._shares), p=self._shares))]
        seed = int(rng.integers(2**31))
        return BankWriter.follow(self.bank, source, seed, _LOYALTY, self.missing)
