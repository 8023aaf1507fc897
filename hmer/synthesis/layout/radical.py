"""Handwritten bars and radical signs, stretched over their content as a hand would have drawn them.

Only the part that runs along the content grows; the hook of a radical keeps its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.synthesis.glyphs.font import Curve, Glyph

Corner = tuple[float, float]
Pen = Callable[[list[Corner], np.random.Generator], Curve]
"""Draws a polyline through corners the way a hand does."""

_MIN_RUN = 0.35  # symbol units of overline that a radical needs to be stretched


@dataclass(frozen=True, slots=True)
class Radical:
    """A radical sign, its left at 0.

    Attributes:
        begin: x at which the overline begins and the content may.
        foot: x of the lowest point.
        shoulder: height of the hook, over which a root index stands.
    """

    glyph: Glyph
    begin: float
    foot: float
    shoulder: float


def draw_radical(
    run: float, top: float, bottom: float, rng: np.random.Generator, pen: Pen
) -> Radical:
    """A radical sign of straight lines: overline `run` long at `top`, foot at `bottom`."""
    height = bottom - top
    hook = 0.24 + 0.05 * height
    foot, apex = hook * 0.75, hook + 0.08 + 0.12 * height
    end = apex + run
    shoulder = bottom - min(0.5 * height, 0.55)
    tick = (end, top + float(rng.uniform(0.0, 0.14)))
    corners = [
        (0.0, shoulder + 0.1),
        (0.1, shoulder),
        (foot, bottom),
        (apex, top),
        (end, top + float(rng.normal(0.0, 0.02))),
        tick,
    ]
    return Radical((pen(corners, rng),), apex, foot, shoulder)


def split_radical(glyph: Sequence[NDArray[np.floating]]) -> tuple[float, float, float] | None:
    """Where the overline of a written radical begins: (x, y of it, y of the foot).

    The foot is the lowest point; the overline begins where the pen first comes near the top after
    it. None where the ink does not look like a radical sign: no overline, or a foot at the right.
    """
    points = np.concatenate(glyph).astype(np.float64)
    top, bottom = float(points[:, 1].min()), float(points[:, 1].max())
    height, width = bottom - top, float(np.ptp(points[:, 0]))
    if height < 0.4 or width < _MIN_RUN:
        return None
    foot = int(points[:, 1].argmax())
    later = points[foot:]
    near = np.flatnonzero(later[:, 1] < top + 0.25 * height)
    if not len(near):
        return None
    apex = later[near[0]]
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    before, run = float(apex[0]) - left, right - float(apex[0])
    if run < _MIN_RUN or before > 1.2 * height + 0.3 or points[foot, 0] > apex[0] + 0.1:
        return None
    return float(apex[0]), float(apex[1]), bottom


def fit_radical(
    glyph: Sequence[NDArray[np.floating]], run: float, top: float, bottom: float
) -> Radical:
    """What `split_radical` accepts, its overline `run` long at `top` and its foot at `bottom`.

    Raises:
        ValueError: the glyph is no radical sign.
    """
    split = split_radical(glyph)
    if split is None:
        raise ValueError("not a radical sign")
    apex, roof, foot = split
    left = min(float(stroke[:, 0].min()) for stroke in glyph)
    right = max(float(stroke[:, 0].max()) for stroke in glyph)
    tall = (bottom - top) / max(foot - roof, 1e-6)
    hook = tall**0.6  # a taller radical has a wider hook, but not in proportion
    along_run = run / (right - apex)
    begin = (apex - left) * hook

    def fitted(points: NDArray[np.floating]) -> NDArray[np.float64]:
        x, y = points.astype(np.float64).T
        along = np.where(x <= apex, (x - left) * hook, begin + (x - apex) * along_run)
        # What rises above the overline's start is its slope and its tail: not the sign's height.
        up = np.where(y < roof, top + (y - roof) * min(1.0, tall), top + (y - roof) * tall)
        return np.column_stack([along, up])

    whole = tuple(fitted(stroke) for stroke in glyph)
    points = np.concatenate(whole)
    lowest = float(points[points[:, 1].argmax(), 0])
    hooked = points[points[:, 0] <= lowest, 1]
    return Radical(whole, begin, lowest, min(float(hooked.min()), bottom - 0.3))


def fit_bar(glyph: Glyph, width: float, height: float, tilt: float) -> Glyph:
    """A written bar, `width` long, its middle at `height`, climbing by twice `tilt` over it."""
    points = np.concatenate(glyph)
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    factor = width / max(right - left, 1e-6)
    middle = float(points[:, 1].min() + points[:, 1].max()) / 2
    low = min(1.0, factor)

    def fitted(stroke: NDArray[np.float64]) -> NDArray[np.float64]:
        x = (stroke[:, 0] - left) * factor
        y = height + (stroke[:, 1] - middle) * low - 2 * tilt * (x / max(width, 1e-6) - 0.5)
        return np.column_stack([x, y])

    return tuple(fitted(stroke) for stroke in glyph)
