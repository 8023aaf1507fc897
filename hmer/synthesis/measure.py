"""How large a row is written and where its baseline lies, seen from any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hmer.synthesis.bank import GlyphBank
from hmer.synthesis.baselines import Extents, is_sized
from hmer.synthesis.parts import Part

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
    sized = [part for part in row if part.token and is_sized(part.token, extents)]
    if not sized:
        return None
    boxes = np.array([part.box() for part in sized])
    usual = np.array([extents[part.token] for part in sized])
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1e-3)
    scale = float(np.exp(np.median(np.log(heights / (usual[:, 1] - usual[:, 0])))))
    levels = (boxes[:, 1] + boxes[:, 3]) / 2 - scale * usual.mean(axis=1)
    near = np.argsort(np.abs((boxes[:, 0] + boxes[:, 2]) / 2 - x), kind="stable")[:_NEAR]
    return Measure(scale, float(np.median(levels[near])))
