"""Shapes of accents: marks over and under what they belong to."""

from __future__ import annotations

from typing import NamedTuple

Line = tuple[tuple[float, float], ...]


class Accent(NamedTuple):
    """A mark as lines in the unit square, y downwards.

    Attributes:
        lines: strokes.
        height: symbol units.
        long: as wide as what it belongs to.
        under: it stands under that.
    """

    lines: tuple[Line, ...]
    height: float = 0.2
    long: bool = False
    under: bool = False


_BAR: Line = ((0.0, 0.0), (1.0, 0.0))
_HAT: Line = ((0.0, 1.0), (0.5, 0.0), (1.0, 1.0))
_CHECK: Line = ((0.0, 0.0), (0.5, 1.0), (1.0, 0.0))
_WAVE: Line = ((0.0, 0.9), (0.2, 0.1), (0.4, 0.1), (0.6, 0.9), (0.8, 0.9), (1.0, 0.1))
_BOWL: Line = ((0.0, 0.0), (0.15, 0.7), (0.5, 1.0), (0.85, 0.7), (1.0, 0.0))
_BRACE: Line = (
    *((0.0, 1.0), (0.04, 0.6), (0.2, 0.5), (0.44, 0.5), (0.5, 0.0)),
    *((0.56, 0.5), (0.8, 0.5), (0.96, 0.6), (1.0, 1.0)),
)
_UNDER: Line = tuple((x, 1.0 - y) for x, y in _BRACE)
_SHAFT: Line = ((0.0, 0.5), (1.0, 0.5))
_HEAD: Line = ((0.8, 0.0), (1.0, 0.5), (0.8, 1.0))


def _dot(x: float) -> Line:
    return ((x, 0.0), (x + 0.06, 0.3))


ACCENTS: dict[str, Accent] = {
    r"\bar": Accent((_BAR,), 0.02),
    r"\overline": Accent((_BAR,), 0.02, long=True),
    r"\underline": Accent((_BAR,), 0.02, long=True, under=True),
    r"\hat": Accent((_HAT,)),
    r"\widehat": Accent((_HAT,), long=True),
    r"\check": Accent((_CHECK,)),
    r"\tilde": Accent((_WAVE,), 0.15),
    r"\widetilde": Accent((_WAVE,), 0.2, long=True),
    r"\breve": Accent((_BOWL,)),
    r"\acute": Accent((((0.2, 1.0), (0.7, 0.0)),)),
    r"\grave": Accent((((0.3, 0.0), (0.8, 1.0)),)),
    r"\vec": Accent((_SHAFT, _HEAD)),
    r"\overrightarrow": Accent((_SHAFT, _HEAD), 0.25, long=True),
    r"\overleftarrow": Accent((_SHAFT, tuple((1.0 - x, y) for x, y in _HEAD)), 0.25, long=True),
    r"\dot": Accent((_dot(0.5),), 0.15),
    r"\ddot": Accent((_dot(0.2), _dot(0.8)), 0.15),
    r"\overbrace": Accent((_BRACE,), 0.3, long=True),
    r"\underbrace": Accent((_UNDER,), 0.3, long=True, under=True),
}
