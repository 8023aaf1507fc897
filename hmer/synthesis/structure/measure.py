"""How large a row is written and where its baseline lies, seen from any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.baselines import Extents, is_sized
from hmer.synthesis.structure.parts import Part

_NEAR = 5  # symbols around a place that tell the baseline there: rows climb and sink
_ENOUGH = 200  # samples of a class that are looked at


class Measure(NamedTuple):
    """Ink units per symbol unit of a row, and the height of its baseline."""

    scale: float
    baseline: float


def bank_extents(bank: GlyphBank) -> dict[str, tuple[float, float]]:
    """The usual top and bottom of every class, symbol units from the baseline, y downwards."""
    found: dict[str, list[tuple[float, float]]] = {}
    order = np.random.default_rng(0).permutation(len(bank)).tolist()
    for sample in order:
        boxes = found.setdefault(bank.tokens[int(bank.token_of[sample])], [])
        if len(boxes) < _ENOUGH:
            y = np.concatenate(bank.glyph(sample))[:, 1]
            boxes.append((float(y.min()), float(y.max())))
    return {
        token: (float(np.median([t for t, _ in boxes])), float(np.median([b for _, b in boxes])))
        for token, boxes in found.items()
    }


def measure(row: Sequence[Part], x: float, extents: Extents) -> Measure | None:
    """The size of a row and its baseline near `x`; None if no symbol tells."""
    found = []
    for part in row:
        if part.token and is_sized(part.token, extents):
            left, top, right, bottom = part.box()
            high, low = extents[part.token]
            found.append(
                (left + right, top + bottom, max(bottom - top, 1e-3), high + low, low - high)
            )
    if not found:
        return None
    scale = median([height / usual for _, _, height, _, usual in found])
    found.sort(key=lambda entry: abs(entry[0] / 2 - x))
    level = median([y - scale * middle for _, y, _, middle, _ in found[:_NEAR]])
    return Measure(scale, level / 2)
