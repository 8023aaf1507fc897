"""Batches of both phases: two views of an expression with known geometry, or one drawing.

*Our design.* Both views are drawn from the same strokes, each with its own augmentation, which
moves points but never adds or drops them: the k-th point of the ink is the same piece of ink in
both. Where the source has images only, the image itself is distorted, and where its pixels go is
known. The second view also loses something: strokes, or an end of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.data.batches import PlannedBatch
from hmer.data.collate import stack
from hmer.data.dataset import Expressions
from hmer.data.drawing import Drawn, draw, draw_image, draw_ink, other_pen
from hmer.ink.augment import AugmentConfig, augment, drop_strokes
from hmer.ink.images import ink_mask
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink


class ViewBatch(NamedTuple):
    """First views in rows 0 to B - 1, second views in rows B to 2B - 1."""

    images: Tensor
    """float (2B, 1, H, W), ink 1 on 0."""
    points: Tensor
    """float (2B, K, 2): pixels; point k of row i and of row B + i is the same piece of ink."""
    valid: Tensor
    """bool (B, K): False where there were fewer than K points, and in rows that are not fresh."""
    fresh: Tensor
    """bool (B,): False for repeats of an expression that fill the batch; they are no negatives."""


@dataclass(frozen=True)
class ViewMaker:
    """Draws both views of every sample of a planned batch."""

    expressions: Expressions
    render: RenderConfig
    augment: AugmentConfig
    scale_range: tuple[float, float]
    points: int
    """Matched cells per expression, at most."""
    stride: int
    """Pixels per cell."""
    drop_rate: float = 0.0
    """Of strokes, in the second view of ink."""
    crop: float = 0.0
    """Share of its width that the second view of an image loses at most, at its ends."""

    def __call__(self, plan: PlannedBatch, rng: np.random.Generator) -> ViewBatch:
        """See the class."""
        size = (plan.height, plan.width)
        images: list[list[NDArray[np.uint8]]] = [[], []]
        points = np.zeros((2, len(plan.samples), self.points, 2), dtype=np.float32)
        valid = np.zeros((len(plan.samples), self.points), dtype=bool)
        fresh = np.zeros(len(plan.samples), dtype=bool)
        fresh[np.unique(plan.samples, return_index=True)[1]] = True
        for row, (index, scale) in enumerate(zip(plan.samples, plan.scales, strict=True)):
            pair, common = self._pair(int(index), float(scale), size, rng)
            chosen = self._apart(pair, rng.permutation(common))[: self.points]
            valid[row, : len(chosen)] = fresh[row]
            for view, drawn in enumerate(pair):
                images[view].append(drawn.image)
                points[view, row, : len(chosen)] = drawn.points[chosen]
        return ViewBatch(
            stack(images[0] + images[1], *size),
            torch.from_numpy(points.reshape(-1, self.points, 2)),
            torch.from_numpy(valid),
            torch.from_numpy(fresh),
        )

    def _apart(self, pair: tuple[Drawn, Drawn], points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the points, in their order, that share no cell with an earlier one.

        Two points of one cell have one feature: contrasting it with itself would be noise.
        """
        for drawn in pair:
            cells = np.floor(drawn.points[points] / self.stride).astype(np.int64)
            firsts = np.unique(cells, axis=0, return_index=True)[1]
            points = points[np.sort(firsts)]
        return points

    def _pair(
        self, index: int, scale: float, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[tuple[Drawn, Drawn], NDArray[np.int64]]:
        """Both drawings, and the indices of the points that are seen in both."""
        other = float(np.exp(rng.uniform(*np.log(self.scale_range))))
        ink = self.expressions.written(index)
        if not isinstance(ink, Ink):
            return self._image_pair(ink, (scale, other), size, rng)
        pens = [other_pen(self.render, self.augment, rng) for _ in range(2)]
        first = draw_ink(augment(ink, rng, self.augment), pens[0], scale, *size)
        moved = augment(ink, rng, self.augment)
        kept = drop_strokes(moved, rng, self.drop_rate)
        seen = Ink(tuple(moved.strokes[i] for i in kept))
        second = draw_ink(seen, pens[1], other, *size)
        starts = np.cumsum([0, *(len(stroke) for stroke in ink.strokes)])
        common = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in kept])
        # Points of the second drawing are counted over the kept strokes only: spread them out.
        points = np.zeros((int(starts[-1]), 2), dtype=np.float32)
        points[common] = second.points
        return (first, Drawn(second.image, points)), common

    def _image_pair(
        self,
        image: NDArray[np.uint8],
        scales: tuple[float, float],
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> tuple[tuple[Drawn, Drawn], NDArray[np.int64]]:
        """The same where there is no ink: its inked pixels are the points."""
        first = draw_image(image, scales[0], *size, self.augment, rng)
        left, right = _window(image, self.crop, rng)
        columns = np.nonzero(ink_mask(image))[1]
        common = np.flatnonzero((columns >= left) & (columns < right))
        second = draw_image(image[:, left:right], scales[1], *size, self.augment, rng)
        points = np.zeros_like(first.points)
        points[common] = second.points
        return (first, Drawn(second.image, points)), common


def _window(image: NDArray[np.uint8], crop: float, rng: np.random.Generator) -> tuple[int, int]:
    """Columns [left, right) of what is left of an image; all where no ink would be left."""
    width = image.shape[1]
    lost, before = rng.uniform(0, crop), rng.uniform()
    left = int(lost * before * width)
    right = width - int(lost * (1 - before) * width)
    return (left, right) if ink_mask(image[:, left:right]).any() else (0, width)


@dataclass(frozen=True)
class ImageMaker:
    """Draws every sample of a planned batch, float (B, 1, H, W), ink 1 on 0; for phase 2."""

    expressions: Expressions
    render: RenderConfig
    augment: AugmentConfig | None
    """None: the ink as it is."""

    def __call__(self, plan: PlannedBatch, rng: np.random.Generator) -> Tensor:
        """See the class."""
        images = [
            draw(
                self.expressions.written(index), self.render, self.augment, rng, float(scale),
                plan.height, plan.width,
            ).image
            for index, scale in zip(plan.samples.tolist(), plan.scales, strict=True)
        ]  # fmt: skip
        return stack(images, plan.height, plan.width)
