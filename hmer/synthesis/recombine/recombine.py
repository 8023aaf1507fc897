"""New expressions from parts of several: other hands' symbols, other symbols, other groups.

Starts from a real expression or a piece of one, and changes it: the ink of a symbol becomes
another writer's of the same class, or that of another class of its category; and whole groups are
exchanged: a numerator for a numerator, a script for a script, an operand for an operand. What
comes in is written in the size and on the baseline of what it replaces; the rest makes room.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.ink.scale import own_unit, stroke_boxes
from hmer.ink.strokes import Ink
from hmer.latex.tree import ROOT
from hmer.synthesis.base import Leakage, Written
from hmer.synthesis.decompose import DecomposeConfig, Decomposer, rare_boost
from hmer.synthesis.editable_ink import Part, depth, faults, spelled, take, to_ink, walk
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.ink_index import InkedCaptions
from hmer.synthesis.recombine.exchanges import Groups, bank_extents, holes, rewrite, ways
from hmer.synthesis.substitutions import Lookalikes

KIND = "recombine"

_TRIES = 4
_OVERLAP = 0.45  # share of the smaller of two symbols' boxes that another may cover
_THIN = 0.15  # symbol units that a bar or a dot counts as wide and high
_CAPITALS = 0.6  # of a letter: that it changes its case; a capital does so more seldom
_LOYALTY = 0.7  # how often a symbol is taken from the one hand that lends its symbols
_WIDEST = 80.0  # symbol units


class RecombineConfig(BaseModel):
    """How much of an expression is exchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    whole: float = Field(
        0.5, ge=0, le=1, description="share of whole expressions to start from; others are pieces"
    )
    groups: float = Field(1.0, ge=0, le=8, description="groups exchanged, in the mean")
    same: float = Field(0.25, ge=0, le=1, description="share of symbols in another hand's ink")
    other: float = Field(0.2, ge=0, le=1, description="share of symbols that become others")
    case: float = Field(
        0.0, ge=0, le=1, description="share of expressions in which letters change their case"
    )
    foreign: float = Field(
        0.3, ge=0, le=1, description="how often a hand of isolated symbols lends its symbols"
    )
    tempering: float = Field(
        0.5, ge=0, le=1, description="1: tokens and groups as often as they occur; 0: all alike"
    )
    rare: float = Field(
        0.25, ge=0, le=1, description="how strongly expressions with rare tokens are preferred"
    )
    longest: int = Field(60, ge=1, description="tokens of an expression, at most")
    deepest: int = Field(8, ge=0, le=32, description="levels of nesting, at most")
    own_scale: float = Field(
        0.5, ge=0, le=1, description="probability of bringing the result to its own symbol unit"
    )


class Recombiner:
    """Makes new expressions from parts of those of a training split; a picklable `Synthesiser`."""

    def __init__(
        self,
        expressions: InkedCaptions,
        bank: GlyphBank,
        config: RecombineConfig | None = None,
        leakage: Leakage | None = None,
        decomposer: Decomposer | None = None,
    ) -> None:
        """Collect what can be exchanged.

        Args:
            expressions: of the training split.
            bank: glyphs cut from it.
            config: how much is exchanged.
            leakage: captions that must not come out.
            decomposer: of the same expressions, if there is one already.

        Raises:
            HmerError: no expression has ink whose symbols are known to be its tokens.
        """
        self.config = config or RecombineConfig()
        self.bank = bank
        self.leakage = leakage or Leakage()
        self.decomposer = decomposer or Decomposer(
            expressions, DecomposeConfig(longest=self.config.longest), self.leakage
        )
        self.material = self.decomposer.material
        self.extents = bank_extents(bank)
        self.groups = Groups(self.material, self.extents, self.config.tempering)
        counts = bank.count()
        boost = rare_boost(self.material.tokens, self.config.rare)
        chances = [max(boost[token] for token in tokens) for tokens in self.material.tokens]
        self._below = np.cumsum(np.array(chances) / sum(chances))
        self.lookalikes = Lookalikes(counts, self.config.tempering)
        even = np.ones(len(bank.writers))
        self._hands_below = np.cumsum(bank.hands(even, self.config.foreign))

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """A changed expression; None where several attempts came to nothing legible."""
        for _ in range(_TRIES):
            made = self._attempt(rng)
            if made is not None:
                return made
        return None

    def _attempt(self, rng: np.random.Generator) -> Written | None:
        expression, start, stop = self._base(rng)
        before = self.material.tokens[expression][start:stop]
        row = take(self.material, expression, start, stop)
        for _ in range(min(int(rng.poisson(self.config.groups)), 8)):
            found = holes(row)
            if found:
                self.groups.exchange(found[int(rng.random() * len(found))], rng)
        self._rewrite(row, rng)
        tokens = spelled(row)
        if tokens == before or not self._fits(row, tokens):
            return None
        if not legible(row) or any(faults(row)):
            return None
        if not self.leakage.allows(tokens):
            return None
        ink = self._scaled(to_ink(row), rng)
        base = int(self.material.numbers[expression])
        return None if ink is None else Written(ink, tokens, KIND, base)

    def _fits(self, row: list[Part], tokens: list[str]) -> bool:
        return len(tokens) <= self.config.longest and depth(row) <= self.config.deepest

    def _base(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """What is changed: an expression, and the tokens of it that are taken."""
        if rng.random() < self.config.whole:
            drawn = int(np.searchsorted(self._below, rng.random()))
            number = min(drawn, len(self.material) - 1)
            return number, 0, len(self.material.tokens[number])
        return self.decomposer.draw(rng)

    def _rewrite(self, row: list[Part], rng: np.random.Generator) -> None:
        """Other ink for some symbols, and other symbols for some."""
        writers = self.bank.writers
        drawn = int(np.searchsorted(self._hands_below, rng.random(), side="right"))
        hand = writers[min(drawn, len(writers) - 1)]
        cased = self._cased(row, rng)
        # Outside in and left to right: what moves later has not been looked at yet.
        for way in list(ways(row)):
            part = way[-1].row[way[-1].index]
            chance = rng.random()
            token: str | None = part.token
            if part.token in cased:
                token = cased[part.token]
            elif chance < self.config.other:
                token = self.lookalikes.another(part.token, rng)
            elif chance > self.config.other + self.config.same:
                continue
            if token is not None and token in self.bank:
                glyph = self.bank.sample(token, rng, hand, _LOYALTY)
                rewrite(way, token, glyph, self.extents)

    def _cased(self, row: list[Part], rng: np.random.Generator) -> dict[str, str]:
        """Letters that become the other case all through an expression, mostly capitals.

        Size and height tell P from p: the same hand writes both, or the context does not matter.
        """
        if not self.config.case or rng.random() >= self.config.case:
            return {}
        letters = dict.fromkeys(part.token for part in walk(row) if len(part.token) == 1)
        return {
            letter: other
            for letter in letters
            if (other := letter.swapcase()) != letter
            and other in self.bank
            and rng.random() < (_CAPITALS if letter.islower() else 1 - _CAPITALS)
        }

    def _scaled(self, ink: Ink, rng: np.random.Generator) -> Ink | None:
        """The ink with its left top at 0, perhaps in its own symbol unit; None if absurdly wide."""
        corners = stroke_boxes(ink)
        unit = 1.0
        if rng.random() < self.config.own_scale:
            unit = own_unit(corners)
        corner = corners[:, :2].min(axis=0)
        if (corners[:, 2:].max(axis=0) - corner).max() > _WIDEST * unit:
            return None
        return ink.mapped(lambda points: ((points - corner) / unit).astype(np.float32))


def legible(row: list[Part]) -> bool:
    """Whether no symbol of an expression covers another.

    Radicals cover what they hold, and do not count. Bars and dots count as if they were a little
    larger than they are.
    """
    parts = [part for part in walk(row) if part.token and part.token != ROOT]
    boxes = np.array([part.box() for part in parts])
    if not np.isfinite(boxes).all():
        return False
    low, high = boxes[:, :2], boxes[:, 2:]
    spare = np.maximum(_THIN - (high - low), 0) / 2
    low, high = low - spare, high + spare
    common = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.maximum(common, 0).prod(axis=2)
    area: NDArray[np.float64] = (high - low).prod(axis=1)
    covered = shared / np.minimum(area[:, None], area[None])
    np.fill_diagonal(covered, 0.0)
    return bool((covered < _OVERLAP).all())
