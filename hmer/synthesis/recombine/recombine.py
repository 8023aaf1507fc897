"""New expressions from parts of several: other hands' symbols, other symbols, other groups.

Starts from a real expression or a piece of one: the ink of a symbol becomes another writer's of the
same class, or that of another class of its category, and whole groups are exchanged (numerators,
scripts, operands). What comes in has the size and baseline of what it replaces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.ink.scale import own_unit, stroke_boxes
from hmer.ink.strokes import Ink
from hmer.latex.tree import ROOT
from hmer.synthesis.base import LONGEST, Leakage, Written, draw, running
from hmer.synthesis.decompose import OWN_SCALE, Decomposer
from hmer.synthesis.editable_ink import Part, depth, faults, spelled, take, to_ink, walk
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.recombine.exchanges import Groups, bank_extents, holes, rewrite, ways
from hmer.synthesis.substitutions import Lookalikes

KIND = "recombine"

_TRIES = 4
_OVERLAP = 0.45  # share of the smaller of two symbols' boxes that another may cover
_THIN = 0.15  # symbol units that a bar or a dot counts as wide and high
_CAPITALS = 0.6  # of a letter: that it changes its case; a capital does so more seldom
_LOYALTY = 0.7  # how often a symbol is taken from the one hand that lends its symbols
_WIDEST = 80.0  # symbol units
_WHOLE = 0.5  # share of whole expressions to start from; others are pieces
_GROUPS = 1.0  # that are exchanged, in the mean
_SAME = 0.25  # share of symbols in another hand's ink
_OTHER = 0.2  # share of symbols that become others
_FOREIGN = 0.3  # how often a hand of isolated symbols lends its symbols
_DEEPEST = 8  # levels of nesting, at most


class RecombineConfig(BaseModel):
    """How much of an expression is exchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: float = Field(
        0.0, ge=0, le=1, description="share of expressions in which letters change their case"
    )


class Recombiner:
    """Makes new expressions from parts of those of a training split; a picklable `Synthesiser`."""

    def __init__(
        self,
        pieces: Decomposer,
        bank: GlyphBank,
        config: RecombineConfig | None = None,
        leakage: Leakage | None = None,
    ) -> None:
        """Collect what can be exchanged; captions of `leakage` must not come out."""
        self.config = config or RecombineConfig()
        self.bank = bank
        self.leakage = leakage or Leakage()
        self.decomposer = pieces
        self.material = pieces.material
        self.groups = Groups(self.material, bank_extents(bank))
        boost = self.material.rare_boost()
        chances = [max(boost[token] for token in tokens) for tokens in self.material.tokens]
        self._below = running(np.array(chances))
        self.lookalikes = Lookalikes(bank.count())
        self._hands_below = np.cumsum(bank.hands(np.ones(len(bank.writers)), _FOREIGN))

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
        for _ in range(min(int(rng.poisson(_GROUPS)), 8)):
            if found := holes(row):
                self.groups.exchange(found[int(rng.random() * len(found))], rng)
        self._rewrite(row, rng)
        tokens = spelled(row)
        if tokens == before or len(tokens) > LONGEST or depth(row) > _DEEPEST:
            return None
        if not legible(row) or any(faults(row)) or not self.leakage.allows(tokens):
            return None
        ink = self._scaled(to_ink(row), rng)
        base = int(self.material.numbers[expression])
        return None if ink is None else Written(ink, tokens, KIND, base)

    def _base(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """What is changed: an expression, and the tokens of it that are taken."""
        if rng.random() < _WHOLE:
            number = draw(self._below, rng)
            return number, 0, len(self.material.tokens[number])
        return self.decomposer.draw(rng)

    def _rewrite(self, row: list[Part], rng: np.random.Generator) -> None:
        """Other ink for some symbols, and other symbols for some."""
        hand = self.bank.writers[draw(self._hands_below, rng)]
        cased = self._cased(row, rng)
        # Outside in and left to right: what moves later has not been looked at yet.
        for way in list(ways(row)):
            part = way[-1].row[way[-1].index]
            chance = rng.random()
            token: str | None = part.token
            if part.token in cased:
                token = cased[part.token]
            elif chance < _OTHER:
                token = self.lookalikes.another(part.token, rng)
            elif chance > _OTHER + _SAME:
                continue
            if token is not None and token in self.bank:
                glyph = self.bank.sample(token, rng, hand, _LOYALTY)
                rewrite(way, token, glyph, self.groups.extents)

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
        unit = own_unit(corners) if rng.random() < OWN_SCALE else 1.0
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
