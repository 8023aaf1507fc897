"""A hand that writes with glyphs cut from real ink, in one person's shapes as far as they go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.font import Glyph
from hmer.synthesis.hands.writer import Writer, warp
from hmer.synthesis.layout.radical import Radical, fit_bar, fit_radical

_BRACKET = (1.3, 1.9)  # heights of a bracket that has not grown yet; layout stretches it as needed
_GROWING = {
    **dict.fromkeys(("(", ")", "[", "]", r"\{", r"\}", "|"), _BRACKET),
    r"\int": (2.2, 4.0),
    "/": (1.4, 2.4),
}
"""Signs that grow with their surroundings, and how high they are before they do."""

_AXIS = -0.42


@dataclass(frozen=True)
class BankWriter(Writer):
    """Habits of layout as any `Writer` has; shapes from a bank.

    Attributes:
        bank: where glyphs come from.
        source: whose hand is followed, one of `bank.writers`.
        loyalty: how often that hand's own samples (or its collection's) are taken first.
        missing: tokens the bank lacked, which were written in the vector font, and how often.
    """

    bank: GlyphBank = field(kw_only=True, repr=False, compare=False)
    source: str = field(kw_only=True)
    loyalty: float = field(default=0.9, kw_only=True)
    missing: Counter[str] = field(default_factory=Counter, kw_only=True, repr=False, compare=False)

    @classmethod
    def follow(
        cls, bank: GlyphBank, source: str, seed: int, loyalty: float, missing: Counter[str]
    ) -> BankWriter:
        """The habits of the drawn hand `seed` with the shapes of the real hand `source`."""
        habits = Writer.draw(seed)
        values = {item.name: getattr(habits, item.name) for item in fields(Writer) if item.init}
        del values["_glyphs"]
        own = np.random.default_rng([seed, 2])
        values["slant"] = float(own.normal(0.0, 0.05))  # real shapes have a slant of their own
        values["aspect"] = float(np.exp(own.normal(0.0, 0.06)))
        return cls(**values, bank=bank, source=source, loyalty=loyalty, missing=missing)

    def sign(self, token: str, rng: np.random.Generator) -> Glyph:
        """One instance of the sign: a sample from the bank, or else as the vector font has it.

        Raises:
            KeyError: neither has the token.
        """
        if token not in self.bank:
            glyph = super().sign(token, rng)
            self.missing[token] += 1
            return glyph
        glyph = self.bank.sample(token, rng, self.source, self.loyalty)
        points = np.concatenate(glyph)
        usual = _GROWING.get(token)
        if usual is not None:
            points = _ungrown(points, usual, rng)
        width, height = np.exp(rng.normal(0.0, self.size_spread, 2)) * (self.aspect, 1.0)
        turn = float(rng.normal(0.0, 0.03))
        matrix = np.array([[width, -turn - self.slant * height], [turn, height]])
        moved = warp(points @ matrix.T, rng, self.tremor, 1.2)
        if len(glyph) == 1:
            return (moved,)
        return tuple(np.split(moved, np.cumsum([len(stroke) for stroke in glyph])[:-1]))

    def bar(self, width: float, height: float, tilt: float, rng: np.random.Generator) -> Glyph:
        """A fraction bar from the bank, stretched to `width`."""
        if r"\frac" not in self.bank:
            return super().bar(width, height, tilt, rng)
        return fit_bar(self._sample(r"\frac", rng), width, height, tilt)

    def radical(self, run: float, top: float, bottom: float, rng: np.random.Generator) -> Radical:
        """A radical sign from the bank, stretched over its content."""
        if r"\sqrt" not in self.bank:
            return super().radical(run, top, bottom, rng)
        return fit_radical(self._sample(r"\sqrt", rng), run, top, bottom)

    def _sample(self, token: str, rng: np.random.Generator) -> Glyph:
        return self.bank.sample(token, rng, self.source, self.loyalty)


def _ungrown(
    points: NDArray[np.float64], usual: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A sign as it would stand beside a single letter, where it was cut from taller company."""
    top, bottom = float(points[:, 1].min()), float(points[:, 1].max())
    if bottom - top <= usual[1]:
        return points
    factor = float(rng.uniform(*usual)) / (bottom - top)
    middle = (top + bottom) / 2
    return np.column_stack([points[:, 0] * factor**0.5, (points[:, 1] - middle) * factor + _AXIS])
