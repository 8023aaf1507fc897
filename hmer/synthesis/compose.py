"""Compose: new LaTeX typeset in the sloppiness of hands, with real glyphs or drawn ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError, InkError, LatexError
from hmer.ink.scale import normalise, own_unit, stroke_boxes
from hmer.latex.tree import Row, parse, serialise
from hmer.synthesis.base import NEVER_ALONE, Written
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.foreign import tokens_of
from hmer.synthesis.grammar.listed import Sampler
from hmer.synthesis.hands.placement_style import FittedManner
from hmer.synthesis.hands.style_distribution import MEASURED
from hmer.synthesis.hands.writer import BankWriter, Writer
from hmer.synthesis.layout.layout import write

KIND = "compose"


class ComposeConfig(BaseModel):
    """How expressions are composed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loyalty: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="how often a glyph is the followed hand's own (or its collection's)",
    )
    fitted: bool = Field(
        default=True, description="place signs as measured on real hands, not as a careful one"
    )
    foreign: float = Field(
        default=0.3, ge=0, le=1, description="how often a hand of isolated symbols is followed"
    )
    single: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of single symbols, every token of the bank as often",
    )
    font_hands: int = Field(
        default=500, ge=1, description="hands drawn from the vector font where there is no bank"
    )


class Composer:
    """Composes expressions; picklable, the same generator state gives the same expression.

    Attributes:
        missing: tokens the bank lacked, written in the vector font instead, with their counts.
    """

    def __init__(
        self,
        bank: GlyphBank | None,
        grammar: Sampler,
        config: ComposeConfig | None = None,
    ) -> None:
        """Make a composer.

        Args:
            bank: glyphs of real hands; None for the vector font.
            grammar: where expressions come from.
            config: how they are written.

        Raises:
            HmerError: the bank is empty.
        """
        if bank is not None and not len(bank):
            raise HmerError("the glyph bank is empty; cut it again, or compose without a bank")
        self.bank = bank
        self.grammar = grammar
        self.config = config or ComposeConfig()
        self.missing: Counter[str] = Counter()
        self._shares = None if bank is None else _shares(bank, self.config.foreign)
        self._hands: dict[int, Writer] = {}
        alone: dict[str, list[list[str]]] = {}  # letters of an alphabet share its command's part
        for tokens in () if bank is None else map(tokens_of, bank.tokens):
            alone.setdefault(tokens[0], []).append(tokens)
        self._alone = [found for token, found in alone.items() if token not in NEVER_ALONE]

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """One expression; None where the grammar made something that cannot be written."""
        try:
            return self.write(self._drawn(rng), rng)
        except (LatexError, InkError):
            return None

    def _drawn(self, rng: np.random.Generator) -> Row:
        """What is written next."""
        if self._alone and self.config.single and rng.random() < self.config.single:
            classes = self._alone[int(rng.integers(len(self._alone)))]
            return parse(classes[int(rng.integers(len(classes)))])
        return self.grammar.sample(rng)

    def write(self, row: Row, rng: np.random.Generator) -> Written:
        """This expression in a hand drawn from `rng`.

        Raises:
            LatexError: a symbol has no glyph, or there is nothing to write.
            InkError: the ink spans more than `hmer.ink.scale.MAX_EXTENT`.
        """
        hand = self.hand(rng)
        manner = FittedManner(MEASURED, rng) if self.config.fitted else None
        ink = write(row, hand, rng, manner)
        ink = normalise(ink, own_unit(stroke_boxes(ink)))
        source = hand.source if isinstance(hand, BankWriter) else ""
        return Written(ink, serialise(row), KIND, hand=source)

    def hand(self, rng: np.random.Generator) -> Writer:
        """A writer, drawn once per expression."""
        if self.bank is None or self._shares is None:
            number = int(rng.integers(self.config.font_hands))
            if number not in self._hands:
                self._hands[number] = Writer.draw(number)
            return self._hands[number]
        source = self.bank.writers[int(rng.choice(len(self._shares), p=self._shares))]
        return BankWriter.follow(
            self.bank, source, int(rng.integers(2**31)), self.config.loyalty, self.missing
        )

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_hands": {}}


def _shares(bank: GlyphBank, foreign: float) -> np.ndarray:
    """How often each hand is followed: more samples count, but less than in proportion."""
    return bank.hands(np.sqrt(bank.writer_samples()), foreign)
