"""How a hand places signs: the distances and sizes that layout asks for.

`PlainManner` is a careful hand, with the habits of its `Writer`; `FittedManner`
(`hmer.synthesis.hands.fitted_manner`) is as varied as hands were measured to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hmer.latex.tree import Relation
from hmer.synthesis.layout.box import Box
from hmer.synthesis.layout.scripts import attach_limits, attach_scripts
from hmer.synthesis.layout.spacing import gap

if TYPE_CHECKING:
    from hmer.synthesis.hands.writer import Writer

Scripts = Mapping[Relation, Box | None]

_MIN_GAP = 0.05


@dataclass(frozen=True, slots=True)
class FractionManner:
    """One fraction: sizes relative to its row, distances in the row's symbol units."""

    scale: float
    overshoot: float
    tilt: float


@dataclass(frozen=True, slots=True)
class RadicalManner:
    """One radical: how far the sign stays from its content on each side, and its content's size."""

    roof: float
    foot: float
    pad: float
    end: float
    scale: float = 1.0


class Manner(Protocol):
    """Everything layout leaves to the hand. Methods draw from the generator they are given."""

    def drift(self, rng: np.random.Generator) -> float:
        """Angle of the whole expression, radians."""
        ...

    def blank(self, before: str | None, token: str, after: str, rng: np.random.Generator) -> float:
        """Blank between two neighbours (see `hmer.synthesis.layout.spacing.gap`)."""
        ...

    def wobble(self, rng: np.random.Generator) -> float:
        """How far a symbol is off the baseline."""
        ...

    def limits_beside(self, token: str, rng: np.random.Generator) -> bool:
        """Whether the scripts of this operator are written beside it."""
        ...

    def scripts(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """`base` with scripts at its right; `level` is how deep in scripts it stands."""
        ...

    def limits(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """`base` with its ABOVE and BELOW rows over and under it."""
        ...

    def fraction(self, rng: np.random.Generator) -> FractionManner:
        """Habits for one fraction."""
        ...

    def part(self, above: bool, slack: float, rng: np.random.Generator) -> tuple[float, float]:
        """Distance of a fraction's part from the bar, and its shift off the middle.

        `slack` is how much longer the bar is on each side.
        """
        ...

    def radical(self, rng: np.random.Generator) -> RadicalManner:
        """Habits for one radical."""
        ...

    def index_scale(self, rng: np.random.Generator) -> float:
        """Size of a root index."""
        ...

    def cover(self, rng: np.random.Generator) -> tuple[float, float]:
        """How far a bracket reaches beyond tall content, above and below."""
        ...


class PlainManner:
    """A careful hand: the writer's habits and a little chance."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def drift(self, rng: np.random.Generator) -> float:
        """The writer's."""
        return self.writer.drift + float(rng.normal(0.0, 0.012))

    def blank(self, before: str | None, token: str, after: str, rng: np.random.Generator) -> float:
        """By the kinds of the signs, in the writer's tightness."""
        noise = rng.normal(0.0, self.writer.spacing_spread * 0.1)
        return max(_MIN_GAP, gap(before, token, after) * self.writer.spacing + float(noise))

    def wobble(self, rng: np.random.Generator) -> float:
        """The writer's."""
        return float(rng.normal(0.0, self.writer.baseline_spread))

    def limits_beside(self, token: str, rng: np.random.Generator) -> bool:
        r"""Integrals always, `\sum` by some writers, `\lim` never."""
        return token != r"\lim" and (token != r"\sum" or self.writer.limits_beside)

    def scripts(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """See `attach_scripts`."""
        return attach_scripts(base, token, rows, self._size(level), self.writer, rng)

    def limits(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """See `attach_limits`."""
        return attach_limits(base, rows, self._size(level), rng)

    def _size(self, level: int) -> float:
        """Scripts of scripts shrink less than scripts: hands stop at what they can still write."""
        size = self.writer.script_scale
        return size if level == 0 else sqrt(size)

    def fraction(self, rng: np.random.Generator) -> FractionManner:
        """The writer's."""
        overshoot = self.writer.bar_overshoot * float(rng.uniform(0.6, 1.4))
        return FractionManner(self.writer.fraction_scale, overshoot, float(rng.normal(0.0, 0.012)))

    def part(self, above: bool, slack: float, rng: np.random.Generator) -> tuple[float, float]:
        """Near the bar, about in the middle."""
        blank = float(rng.uniform(0.1, 0.26))
        return blank, slack * float(rng.normal(0.0, 0.15))

    def radical(self, rng: np.random.Generator) -> RadicalManner:
        """Close around its content."""
        roof, foot = float(rng.uniform(0.12, 0.24)), float(rng.uniform(-0.04, 0.08))
        return RadicalManner(
            roof, foot, float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.02, 0.22))
        )

    def index_scale(self, rng: np.random.Generator) -> float:
        """A little smaller than a script."""
        return self.writer.script_scale * 0.85

    def cover(self, rng: np.random.Generator) -> tuple[float, float]:
        """A little, on both sides."""
        margin = float(rng.uniform(0.04, 0.14))
        return margin, margin
