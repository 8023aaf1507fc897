"""Every sign of the vocabulary as pen strokes, in one or several variants.

Glyphs come from single-stroke vector fonts (the Hershey set) and from
`hmer.synthesis.glyphs.drawn`. Units are symbol units: origin on the baseline, y downwards, x-height
near 0.8, digits and capitals 1.25 high.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from HersheyFonts import HersheyFonts
from numpy.typing import NDArray

from hmer.synthesis.glyphs.drawn import DRAWN

Curve = NDArray[np.float64]
"""Points of one stroke, shape (n, 2), evenly spaced."""
Glyph = tuple[Curve, ...]
"""The strokes of one variant of a sign, in writing order."""

STEP = 0.06
"""Distance between neighbouring points, symbol units."""
WORDS = (r"\sin", r"\cos", r"\tan", r"\log", r"\lim")
"""Functions that are written letter by letter and count as one symbol."""
BUILT = (r"\frac", r"\sqrt")
"""Signs whose shape depends on their content (`hmer.synthesis.layout.layout`)."""

_BASE_LINE, _CAP_HEIGHT = 9, 21  # of the Hershey fonts, font units
_UNIT = 1.25 / _CAP_HEIGHT
_SCRIPT = 1.2  # the script faces have a lower x-height than the plain one

_FONT_PLAIN = "ABCDEFGHJKLMNOPQRSTUVWXYZ" + "abcdefghijkmnopqrstuwy" + "023456789"
_FONT_SCRIPT = "acdeghiklmnopqtuvwy"  # its b, r, s, x and z read as other signs, f is too tall
_FONT_GREEK = {
    r"\alpha": "a",
    r"\beta": "b",
    r"\gamma": "g",
    r"\lambda": "l",
    r"\mu": "m",
    r"\sigma": "s",
    r"\phi": "f",
    r"\pi": "p",
    r"\Delta": "D",
    r"\Pi": "P",
}


def resample(points: Curve, step: float = STEP) -> Curve:
    """The polyline (n, 2) through evenly spaced points, both ends kept; at least two points."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    count = max(2, int(np.ceil(along[-1] / step)) + 1)
    where = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)])


def spline(knots: Curve) -> Curve:
    """A uniform Catmull-Rom curve through the knots (n, 2), densely sampled."""
    if len(knots) < 3:
        return knots
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = np.linspace(0.0, 1.0, 12, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            b
            + 0.5 * t * (c - a)
            + t**2 * (a - 2.5 * b + 2 * c - 0.5 * d)
            + t**3 * (1.5 * (b - c) + 0.5 * (d - a))
        )
    return np.vstack([*pieces, knots[-1:]])


def parse_drawn(text: str) -> Glyph:
    """Strokes of one variant in the notation of `hmer.synthesis.glyphs.drawn`."""
    strokes = []
    for part in text.split("|"):
        runs: list[list[list[float]]] = [[]]
        for word in part.split():
            x, y = word.removesuffix("!").split(",")
            point = [float(x) / 100, -float(y) / 100]
            runs[-1].append(point)
            if word.endswith("!"):
                runs.append([point])
        curves = [spline(np.array(run)) for run in runs]
        strokes.append(resample(np.vstack(curves)))
    return tuple(strokes)


@cache
def _font(name: str) -> HersheyFonts:
    font = HersheyFonts()
    font.load_default_font(name)
    return font


def font_glyph(font: str, char: str, scale: float = 1.0) -> Glyph:
    """One character of a Hershey font."""
    strokes = _font(font).all_glyphs[char].strokes
    curves = [np.array(stroke, dtype=float) for stroke in strokes if len(stroke) > 1]
    left = min(curve[:, 0].min() for curve in curves)
    unit = _UNIT * scale
    return tuple(resample((curve - [left, _BASE_LINE]) * unit) for curve in curves)


@cache
def variants(token: str) -> tuple[Glyph, ...]:
    """All ways to write a single sign.

    Raises:
        KeyError: the token has no glyph of its own (`WORDS`, `BUILT`, structure tokens).
    """
    found = [parse_drawn(text) for text in DRAWN.get(token, ())]
    if token in _FONT_PLAIN:
        found.append(font_glyph("futural", token))
    if token in _FONT_SCRIPT:
        found.append(font_glyph("scripts", token, _SCRIPT))
    if token in _FONT_GREEK:
        found.append(font_glyph("greek", _FONT_GREEK[token]))
    if not found:
        raise KeyError(token)
    return tuple(found)
