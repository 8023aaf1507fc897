"""Batches of expressions that are written on the spot, in the shapes of the real batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hmer.data.buckets import BatchConfig, PlannedBatch, Sizes, batch_size
from hmer.data.mixing import WrittenPlan
from hmer.data.supervised import SupervisedMaker
from hmer.ink.strokes import Ink
from hmer.models.base import Batch
from hmer.synthesis.written import Synthesiser

PATIENCE = 200
"""Draws in a row that may come to nothing."""


@dataclass
class WrittenExpressions:
    """Written expressions in the form that drawing and labelling want (`Expressions`)."""

    tokens: list[list[str]] = field(default_factory=list)
    inks: list[Ink] = field(default_factory=list)

    def ink(self, index: int) -> Ink:
        """Normalised ink."""
        return self.inks[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Never there.

        Raises:
            LookupError: always.
        """
        raise LookupError(f"written expression {index} has ink, and no image")


@dataclass
class MixedMaker:
    """Makes a planned batch of real ink, or writes one."""

    real: SupervisedMaker
    synthesiser: Synthesiser
    buckets: Sizes
    """The padded shapes of the real batches, by growing area: no others are used."""
    batch: BatchConfig
    scale_range: tuple[float, float]
    seed: int
    chunk: int
    _at_hand: tuple[int, WrittenExpressions, list[PlannedBatch]] | None = None

    def __call__(self, plan: PlannedBatch | WrittenPlan, rng: np.random.Generator) -> Batch:
        """The batch; of a written one the chunk it belongs to is written first, and kept."""
        if isinstance(plan, PlannedBatch):
            return self.real(plan, rng)
        if self._at_hand is None or self._at_hand[0] != plan.chunk:
            self._at_hand = (plan.chunk, *self._write(plan))
        _, expressions, plans = self._at_hand
        return self.real.make(expressions, plans[plan.number], rng)

    def _write(self, plan: WrittenPlan) -> tuple[WrittenExpressions, list[PlannedBatch]]:
        """Write until the expressions fill all batches of the chunk.

        Every expression joins the pile of its shape. A pile that is full is a batch; when full
        and begun piles together are enough, the begun ones are filled with repetitions, so that
        no shape is preferred.
        """
        rng = np.random.default_rng([self.seed, 2, plan.chunk])
        expressions = WrittenExpressions()
        full: list[PlannedBatch] = []
        piles: dict[int, list[tuple[int, float]]] = {}
        idle = 0
        while len(full) + len(piles) < self.chunk:
            written = self.synthesiser(rng)
            home = None
            if written is not None and len(written.tokens) <= plan.limit:
                scale = float(np.exp(rng.uniform(*np.log(self.scale_range))))
                home = self._home(written.ink, scale)
            if written is None or home is None:
                idle += 1
                if idle > PATIENCE:
                    raise RuntimeError(f"{PATIENCE} expressions in a row came to nothing")
                continue
            idle = 0
            expressions.tokens.append(written.tokens)
            expressions.inks.append(written.ink)
            pile = piles.setdefault(home, [])
            pile.append((len(expressions.inks) - 1, scale))
            if len(pile) == batch_size(self.buckets[home], self.batch):
                full.append(self._batch(home, piles.pop(home)))
        full += [self._batch(home, piles[home]) for home in sorted(piles)]
        order = rng.permutation(len(full))
        return expressions, [full[i] for i in order]

    def _home(self, ink: Ink, scale: float) -> int | None:
        """The smallest shape that holds the ink at that scale; None if none does."""
        left, top, right, bottom = ink.bounds()
        render = self.real.render
        border = 2 * render.margin * render.unit + 1
        size = np.array([bottom - top, right - left]) * render.unit * scale + border
        fits = (self.buckets >= size).all(axis=1)
        return int(fits.argmax()) if fits.any() else None

    def _batch(self, home: int, pile: list[tuple[int, float]]) -> PlannedBatch:
        """A pile as a batch of the usual size for its shape."""
        height, width = (int(side) for side in self.buckets[home])
        chosen = np.resize(np.arange(len(pile)), batch_size(self.buckets[home], self.batch))
        samples = np.array([index for index, _ in pile], dtype=np.int64)[chosen]
        scales = np.array([scale for _, scale in pile])[chosen]
        return PlannedBatch(samples, scales, height, width)
