"""Which samples of a glyph bank look like their class, and which like nothing of the kind.

Annotators slip, strokes are grouped wrongly, and some hands are illegible: a sample none of whose
nearest neighbours is of its class teaches a recogniser something false.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.synthesis.glyphs.font import Glyph, resample

_GRID = 9
_SMALLEST = 0.5  # symbol units: dots and bars are compared at this size, not blown up
_NEIGHBOURS = 8
_REFERENCES = 500  # samples of a class that others are compared with
_BATCH = 512
_SIZE_WEIGHT = 0.6


def features(glyph: Glyph) -> NDArray[np.float32]:
    """What a sample looks like: ink on a coarse grid of its square box, and its size and height."""
    points = np.concatenate([_even(stroke) for stroke in glyph])
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()), _SMALLEST)
    cell = (points - (low + high) / 2) / side * (_GRID - 1.5) + _GRID / 2 - 0.5
    base = np.clip(np.floor(cell).astype(np.int64), 0, _GRID - 2)
    part = cell - base
    image = np.zeros((_GRID, _GRID))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(image, (base[:, 1] + dy, base[:, 0] + dx), weight)
    image = np.sqrt(image / max(float(image.sum()), 1e-9))
    size = _SIZE_WEIGHT * np.array([np.log(side), (low[1] + high[1]) / 2 / 2])
    return np.concatenate([image.ravel(), size]).astype(np.float32)


def _even(stroke: NDArray[np.float64]) -> NDArray[np.float64]:
    return stroke if len(stroke) < 2 else resample(stroke, 0.08)


def recognisable(tokens: Sequence[str], glyphs: Sequence[Glyph]) -> NDArray[np.bool_]:
    """Which samples (n,) have one of their own class among their nearest neighbours.

    Classes with few samples are kept whole: they have too few neighbours to be judged by.
    """
    looks = np.stack([features(glyph) for glyph in glyphs])
    labels = np.unique(np.array(tokens), return_inverse=True)[1]
    counts = np.bincount(labels)
    few = np.asarray(counts[labels] < 2 * _NEIGHBOURS)
    if few.all():
        return few
    rng = np.random.default_rng(0)
    chosen = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == label))[:_REFERENCES]
            for label in range(len(counts))
        ]
    )
    references, of_class = looks[chosen], labels[chosen]
    squares = (references**2).sum(axis=1)
    good = np.zeros(len(looks), bool)
    for first in range(0, len(looks), _BATCH):
        batch = looks[first : first + _BATCH]
        apart = squares - 2 * batch @ references.T
        here = np.arange(first, first + len(batch))
        apart[here[:, None] == chosen[None, :]] = np.inf  # nobody vouches for himself
        nearest = np.argpartition(apart, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        good[here] = (of_class[nearest] == labels[here][:, None]).any(axis=1)
    return good | few
