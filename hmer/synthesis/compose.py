"""Compose: new LaTeX typeset in the sloppiness of hands, with the glyphs of real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError, InkError, LatexError
from hmer.ink.scale import normalise, own_unit, stroke_boxes
from hmer.latex.tree import Row, parse, serialise
from hmer.synthesis.base import NEVER_ALONE, Written
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.foreign import tokens_of
from hmer.synthesis.hands.placement_style import FittedManner
from hmer.synthesis.hands.writer import BankWriter
from hmer.synthesis.layout.layout import write

KIND = "compose"

_LOYALTY = 0.9  # how often a glyph is the followed hand's own (or its collection's)


class Sampler(Protocol):
    """Where expressions come from."""

    def sample(self, rng: np.random.Generator) -> Row:
        """One structure tree, decided by `rng` alone."""
        ...


class Listed:
    """Samples the expressions of a list, all equally often; a picklable `Sampler`."""

    def __init__(
        self, rows: Sequence[Row], share: float = 1.0, other: Sampler | None = None
    ) -> None:
        """Take structure trees, at least one; with `other`, only a share of samples are of them."""
        self.rows = tuple(rows)
        self.share = share
        self.other = other

    def sample(self, rng: np.random.Generator) -> Row:
        """One of them."""
        if self.other is not None and rng.random() >= self.share:
            return self.other.sample(rng)
        return self.rows[int(rng.integers(len(self.rows)))]


class ComposeConfig(BaseModel):
    """How expressions are composed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    foreign: float = Field(
        0.3, ge=0, le=1, description="how often a hand of isolated symbols is followed"
    )
    single: float = Field(
        0.0, ge=0, le=1, description="share of single symbols, every token of the bank as often"
    )


class Composer:
    """Composes expressions; picklable, the same generator state gives the same expression.

    Attributes:
        missing: tokens the bank lacked, written in the vector font instead, with their counts.
    """

    def __init__(
        self, bank: GlyphBank, grammar: Sampler, config: ComposeConfig | None = None
    ) -> None:
        """Raises HmerError where the bank is empty."""
        if not len(bank):
            raise HmerError("the glyph bank is empty; cut it again")
        self.bank = bank
        self.grammar = grammar
        self.config = config or ComposeConfig()
        self.missing: Counter[str] = Counter()
        # More samples count, but less than in proportion.
        self._shares = bank.hands(np.sqrt(np.bincount(bank.writer_of)), self.config.foreign)
        alone: dict[str, list[list[str]]] = {}  # letters of an alphabet share its command's part
        for tokens in map(tokens_of, bank.tokens):
            alone.setdefault(tokens[0], []).append(tokens)
        self._alone = [found for token, found in alone.items() if token not in NEVER_ALONE]

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """One expression; None where the grammar made something that cannot be written."""
        try:
            row = self._drawn(rng)
            hand = self.hand(rng)
            ink = write(row, hand, rng, FittedManner(rng))
            ink = normalise(ink, own_unit(stroke_boxes(ink)))
        except (LatexError, InkError):
            return None
        return Written(ink, serialise(row), KIND, hand=hand.source)

    def _drawn(self, rng: np.random.Generator) -> Row:
        """What is written next."""
        if self._alone and self.config.single and rng.random() < self.config.single:
            classes = self._alone[int(rng.integers(len(self._alone)))]
            return parse(classes[int(rng.integers(len(classes)))])
        return self.grammar.sample(rng)

    def hand(self, rng: np.random.Generator) -> BankWriter:
        """A writer, drawn once per expression."""
        source = self.bank.writers[int(rng.choice(len(self._shares), p=self._shares))]
        seed = int(rng.integers(2**31))
        return BankWriter.follow(self.bank, source, seed, _LOYALTY, self.missing)
