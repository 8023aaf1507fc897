"""Writers: a hand drawn from a seed, with glyphs of the vector font or of a bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.font import WORDS, Curve, Glyph, resample, variants
from hmer.synthesis.layout.radical import Radical, draw_radical, fit_bar, fit_radical

_WAVES = 3
_DOT = 0.25  # strokes shorter than this are dots and keep their shape


def warp(points: Curve, rng: np.random.Generator, amplitude: float, wavelength: float) -> Curve:
    """Points displaced by a smooth random field: a few plane waves per coordinate."""
    angle = rng.uniform(0.0, 2 * np.pi, (2, _WAVES))
    turn = rng.uniform(0.6, 1.6, (2, _WAVES)) * (2 * np.pi / wavelength)
    phase = rng.uniform(0.0, 2 * np.pi, (2, _WAVES))
    x, y = points[:, 0, None, None], points[:, 1, None, None]
    waves = np.sin((x * np.cos(angle) + y * np.sin(angle)) * turn + phase)
    moved: Curve = points + (amplitude / np.sqrt(_WAVES)) * waves.sum(axis=2)
    return moved


def _rounded(stroke: Curve, reach: int) -> Curve:
    """Corners rounded by a moving average over 2 `reach` + 1 points; the ends stay."""
    if reach < 1 or len(stroke) < 2 * reach + 3:
        return stroke
    kernel = np.full(2 * reach + 1, 1.0 / (2 * reach + 1))
    before, after = (
        2 * stroke[0] - stroke[reach:0:-1],
        2 * stroke[-1] - stroke[-2 : -reach - 2 : -1],
    )
    padded = np.vstack([before, stroke, after])
    return np.column_stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)])


@dataclass(frozen=True)
class Writer:
    """The habits of one hand; lengths in symbol units, angles in radians.

    Use `Writer.draw(seed)`; `sign` writes one instance of a token.
    """

    seed: int
    slant: float
    aspect: float
    size_spread: float
    bend: float
    tremor: float
    rounding: int
    spacing: float
    spacing_spread: float
    baseline_spread: float
    drift: float
    script_scale: float
    script_raise: float
    fraction_scale: float
    bar_overshoot: float
    limits_beside: bool
    dot_scale: float
    font: Callable[[str], tuple[Glyph, ...]] = variants
    _glyphs: dict[str, Glyph] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def draw(cls, seed: int) -> Writer:
        """The writer of this seed (the same on every machine)."""
        rng = np.random.default_rng([seed, 0])
        return cls(
            seed=seed,
            slant=float(np.clip(rng.normal(0.10, 0.13), -0.2, 0.42)),
            aspect=float(np.exp(rng.normal(0.02, 0.12))),
            size_spread=float(rng.uniform(0.02, 0.08)),
            bend=float(rng.uniform(0.02, 0.06)),
            tremor=float(rng.uniform(0.008, 0.026)),
            rounding=int(rng.integers(0, 4)),
            spacing=float(np.exp(rng.normal(0.1, 0.25))),
            spacing_spread=float(rng.uniform(0.1, 0.35)),
            baseline_spread=float(rng.uniform(0.01, 0.06)),
            drift=float(rng.normal(0.0, 0.02)),
            script_scale=float(rng.uniform(0.52, 0.74)),
            script_raise=float(rng.uniform(0.0, 0.15)),
            fraction_scale=float(rng.uniform(0.78, 1.0)),
            bar_overshoot=float(rng.uniform(0.04, 0.22)),
            limits_beside=bool(rng.random() < 0.15),
            dot_scale=float(rng.uniform(0.8, 1.8)),
        )

    def sign(self, token: str, rng: np.random.Generator) -> Glyph:
        """One instance of the sign in this hand: strokes about the origin on the baseline.

        Raises:
            KeyError: the token has no glyph.
        """
        if token in WORDS:
            return self._word(token, rng)
        glyph = self._glyphs.get(token)
        if glyph is None:
            glyph = self._glyphs[token] = self._own(token)
        return self._instance(glyph, rng)

    def line(self, corners: list[tuple[float, float]], rng: np.random.Generator) -> Curve:
        """A drawn polyline through the corners, shaken and rounded as this hand does."""
        stroke = _rounded(resample(np.array(corners, dtype=float)), min(self.rounding, 1))
        return warp(stroke, rng, self.tremor, 1.8)

    def bar(self, width: float, height: float, tilt: float, rng: np.random.Generator) -> Glyph:
        """A fraction bar from x = 0, climbing by twice `tilt`, its middle at `height`."""
        return (self.line([(0.0, height + tilt), (width, height - tilt)], rng),)

    def radical(self, run: float, top: float, bottom: float, rng: np.random.Generator) -> Radical:
        """A radical sign with an overline `run` long at `top`, its foot at `bottom`."""
        return draw_radical(run, top, bottom, rng, self.line)

    def _own(self, token: str) -> Glyph:
        """This hand's version of a sign: chosen, bent, rounded, squeezed and slanted once."""
        rng = np.random.default_rng([self.seed, 1, *token.encode()])
        choices = self.font(token)
        glyph = choices[int(rng.integers(len(choices)))]
        strokes = [
            (s - s.mean(axis=0)) * self.dot_scale + s.mean(axis=0)
            if np.ptp(s, axis=0).max() < _DOT
            else _rounded(s, self.rounding)
            for s in glyph
        ]
        cuts = np.cumsum([len(stroke) for stroke in strokes])[:-1]
        points = warp(np.concatenate(strokes), rng, self.bend, 1.6)
        points[:, 0] = points[:, 0] * self.aspect * np.exp(rng.normal(0, 0.05))
        points[:, 1] *= np.exp(rng.normal(0, 0.04))
        points[:, 0] -= points[:, 1] * self.slant
        return tuple(np.split(points, cuts))

    def _instance(self, glyph: Glyph, rng: np.random.Generator) -> Glyph:
        cuts = np.cumsum([len(stroke) for stroke in glyph])[:-1]
        points = warp(np.concatenate(glyph), rng, self.tremor, 1.2)
        width, height = np.exp(rng.normal(0.0, self.size_spread, 2))
        turn = rng.normal(0.0, 0.03)
        matrix: NDArray[np.float64] = np.array([[width, -turn], [turn, height]])
        return tuple(np.split(points @ matrix.T, cuts))

    def _word(self, token: str, rng: np.random.Generator) -> Glyph:
        strokes: list[Curve] = []
        right = 0.0
        for letter in token[1:]:
            glyph = self.sign(letter, rng)
            left = min(float(stroke[:, 0].min()) for stroke in glyph)
            shift = right - left + 0.07 * self.spacing
            strokes += [stroke + np.array([shift, 0.0]) for stroke in glyph]
            right = max(float(stroke[:, 0].max()) for stroke in strokes)
        return tuple(strokes)


_BRACKET = (1.3, 1.9)  # heights of a bracket that has not grown yet; layout stretches it as needed
_GROWING = {
    **dict.fromkeys(("(", ")", "[", "]", r"\{", r"\}", "|"), _BRACKET),
    r"\int": (2.2, 4.0),
    "/": (1.4, 2.4),
}
"""Signs that grow with their surroundings, and how high they are before they do."""

_PRIME = (0.5, 1.2)
"""Length of a prime in symbol units of its script, whose few samples in a bank are mostly short."""

_AXIS = -0.42


@dataclass(frozen=True)
class BankWriter(Writer):
    """Habits of layout as any `Writer` has; shapes from a bank.

    Attributes:
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
        elif token == r"\prime":
            middle, length = points.mean(axis=0), float(np.hypot(*np.ptp(points, axis=0)))
            points = middle + (points - middle) * rng.uniform(*_PRIME) / max(length, 0.05)
        width, height = np.exp(rng.normal(0.0, self.size_spread, 2)) * (self.aspect, 1.0)
        turn = float(rng.normal(0.0, 0.03))
        matrix = np.array([[width, -turn - self.slant * height], [turn, height]])
        moved = warp(points @ matrix.T, rng, self.tremor, 1.2)
        return tuple(np.split(moved, np.cumsum([len(stroke) for stroke in glyph])[:-1]))

    def bar(self, width: float, height: float, tilt: float, rng: np.random.Generator) -> Glyph:
        """A fraction bar from the bank, stretched to `width`."""
        if r"\frac" not in self.bank:
            return super().bar(width, height, tilt, rng)
        glyph = self.bank.sample(r"\frac", rng, self.source, self.loyalty)
        return fit_bar(glyph, width, height, tilt)

    def radical(self, run: float, top: float, bottom: float, rng: np.random.Generator) -> Radical:
        """A radical sign from the bank, stretched over its content."""
        if r"\sqrt" not in self.bank:
            return super().radical(run, top, bottom, rng)
        glyph = self.bank.sample(r"\sqrt", rng, self.source, self.loyalty)
        return fit_radical(glyph, run, top, bottom)


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
