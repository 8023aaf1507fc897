"""Batches for supervised training: drawings, captions, and the symbol in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hmer.data.batches import PlannedBatch
from hmer.data.collate import UNKNOWN, Batch, both_directions, stack
from hmer.data.dataset import Expressions
from hmer.data.drawing import draw
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.vocabulary import Vocabulary


@dataclass(frozen=True)
class SupervisedMaker:
    """Draws and labels every sample of a planned batch."""

    expressions: Expressions
    vocabulary: Vocabulary
    render: RenderConfig
    augment: AugmentConfig | None
    """None: the ink as it is, for validation."""
    stride: int
    pictured: float = 0.0
    """Share of augmented inks that is read back as pictures."""

    def __call__(self, plan: PlannedBatch, rng: np.random.Generator) -> Batch:
        """See the class."""
        chosen = [
            (self.expressions.tokens[i], self.expressions.written(i)) for i in plan.samples.tolist()
        ]
        return self.make(chosen, plan, rng)

    def make(
        self,
        expressions: Sequence[tuple[Sequence[str], Ink | NDArray[np.uint8]]],
        plan: PlannedBatch,
        rng: np.random.Generator,
    ) -> Batch:
        """The same of given captions, each with what is written, in the order of the plan."""
        images, captions = [], []
        shape = (plan.height // self.stride, plan.width // self.stride)
        symbols = np.full((len(expressions), *shape), UNKNOWN, dtype=np.int64)
        places = np.full_like(symbols, UNKNOWN)
        for row, (tokens, written) in enumerate(expressions):
            scale = float(plan.scales[row])
            drawn = draw(
                written, self.render, self.augment, rng, scale, plan.height, plan.width,
                self.pictured,
            )  # fmt: skip
            images.append(drawn.image)
            captions.append(self.vocabulary.encode(tokens))
            if isinstance(written, Ink):
                self._mark(symbols[row], places[row], written, drawn.points)
        inputs, targets = both_directions(captions)
        return Batch(
            stack(images, plan.height, plan.width), inputs, targets,
            torch.from_numpy(symbols), torch.from_numpy(places),
        )  # fmt: skip

    def _mark(
        self,
        classes: NDArray[np.int64],
        places: NDArray[np.int64],
        ink: Ink,
        points: NDArray[np.float32],
    ) -> None:
        """Write each symbol's class and place into the cells in which its points lie."""
        starts = np.cumsum([0, *(len(stroke) for stroke in ink.strokes)])
        cells = np.floor(points / self.stride).astype(np.int64)
        columns = cells[:, 0].clip(0, classes.shape[1] - 1)
        rows = cells[:, 1].clip(0, classes.shape[0] - 1)
        for symbol in ink.symbols:
            if symbol.token not in self.vocabulary:
                continue
            (number,) = self.vocabulary.encode([symbol.token])
            for stroke in symbol.strokes:
                part = slice(starts[stroke], starts[stroke + 1])
                classes[rows[part], columns[part]] = number
                if symbol.place is not None:
                    places[rows[part], columns[part]] = symbol.place
