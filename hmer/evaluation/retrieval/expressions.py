"""Expressions to be found again: other drawings of the same ink, other ink of the same caption."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from hmer.data.dataset import Expressions
from hmer.data.drawing import other_pen
from hmer.evaluation.annotated import spread_over
from hmer.evaluation.images import BoolArray, Image
from hmer.evaluation.retrieval.features import Vectors
from hmer.evaluation.retrieval.neighbours import nearest, unit
from hmer.ink.augment import AugmentConfig, augment
from hmer.ink.render import RenderConfig, render

Pair = tuple[Image, Image]
"""Two drawings of one expression."""


def pairs(
    expressions: Expressions,
    rows: Sequence[int],
    style: RenderConfig,
    config: AugmentConfig,
    seed: int,
) -> list[Pair]:
    """Two drawings of each of the expressions `rows`, augmented independently.

    Without ink a picture can only be rescaled. Expression i looks the same whatever `rows` are.
    """
    return [
        (
            _drawn(expressions, row, style, config, np.random.default_rng([seed, 0, row])),
            _drawn(expressions, row, style, config, np.random.default_rng([seed, 1, row])),
        )
        for row in rows
    ]


def _drawn(
    expressions: Expressions,
    row: int,
    style: RenderConfig,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> Image:
    ink = expressions.ink(row)
    if ink is None:
        image = PillowImage.fromarray(expressions.image(row))
        factor = config.scale ** rng.uniform(-1, 1)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return np.asarray(image.resize(size, PillowImage.Resampling.BILINEAR))
    moved, pen = augment(ink, rng, config), other_pen(style, config, rng).pen
    return render(moved, style.unit, pen, style.margin).image


def caption_groups(tokens: Sequence[Sequence[str]], limit: int) -> list[int]:
    """About `limit` expressions whose captions occur several times, all of each caption.

    The captions are evenly spread over those that occur several times.
    """
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, caption in enumerate(tokens):
        groups[tuple(caption)].append(number)
    several = [members for members in groups.values() if len(members) > 1]
    mean = sum(map(len, several)) / max(1, len(several))
    chosen = spread_over(len(several), int(limit / max(mean, 1.0)))
    return sorted(number for group in chosen for number in several[group])


def same_caption(vectors: Vectors, captions: NDArray[np.int64]) -> BoolArray:
    """For every expression with a twin, whether the nearest other one says the same."""
    compared = unit(vectors)
    numbers = np.arange(len(compared))
    near = nearest(compared, compared, lambda part: numbers[part, None] == numbers)[:, 0]
    found: BoolArray = (captions[near] == captions)[_twins(captions) > 0]
    return found


def same_caption_chance(captions: NDArray[np.int64]) -> float | None:
    """Percent that a random other expression says the same, for those with twins; None: none."""
    twins = _twins(captions)
    if not twins.any():
        return None
    return 100.0 * float(twins[twins > 0].mean()) / (len(captions) - 1)


def _twins(captions: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many others have the same caption: (n,)."""
    counts: NDArray[np.int64] = np.bincount(captions)[captions] - 1
    return counts
