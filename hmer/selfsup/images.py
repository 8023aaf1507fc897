"""The batches of phase 2: drawings, and which stroke each of their pixels belongs to.

*Our design*, as all of the data side is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hmer.data.batches import PlannedBatch
from hmer.data.collate import stack
from hmer.data.dataset import Expressions
from hmer.data.drawing import draw
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.masking.strokes import stroke_map


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Drawings."""

    images: Tensor
    """float (B, 1, H, W), ink 1 on 0."""
    strokes: Tensor | None = None
    """int16 (B, H, W) from `stroke_map`; all 0 where there is no ink. None: not wanted."""

    def to(self, device: torch.device) -> ImageBatch:
        """The same batch on another device."""
        strokes = None if self.strokes is None else self.strokes.to(device)
        return ImageBatch(self.images.to(device), strokes)


@dataclass(frozen=True)
class ImageMaker:
    """Draws every sample of a planned batch; labels are not read."""

    expressions: Expressions
    render: RenderConfig
    augment: AugmentConfig | None
    """None: the ink as it is."""
    strokes: bool = False
    """Whether stroke maps are wanted."""

    def __call__(self, plan: PlannedBatch, rng: np.random.Generator) -> ImageBatch:
        """See the class."""
        images = []
        wanted = (len(plan.samples), plan.height, plan.width) if self.strokes else (0, 0, 0)
        maps = np.zeros(wanted, np.int16)
        for row, (index, scale) in enumerate(zip(plan.samples, plan.scales, strict=True)):
            drawn, ink = draw(
                self.expressions, int(index), self.render, self.augment, rng,
                float(scale), plan.height, plan.width,
            )  # fmt: skip
            images.append(drawn.image)
            if self.strokes and ink is not None:
                ends = np.cumsum([len(stroke) for stroke in ink.strokes])[:-1]
                paths = np.split(drawn.points, ends)
                maps[row] = stroke_map(paths, drawn.pen, plan.height, plan.width)
        drawings = stack(images, plan.height, plan.width)
        return ImageBatch(drawings, torch.from_numpy(maps) if self.strokes else None)
