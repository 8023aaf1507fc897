"""A dozen fixed expressions that are looked at while phase 2 trains.

*Our design.* At 0, 25, 50, 75 and 100 % of the training the teacher's map on them is kept (with
the checkpoint, so that an interrupted training shows the same); afterwards the masks of those
moments are drawn anew, always from one seed: from column to column only the curriculum, and the
map that guides it, makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.data.batches import PlannedBatch, Sizes
from hmer.masking.units import hidden_share
from hmer.models.common.attention import AttentionNetwork
from hmer.models.common.encoders import CompactEncoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.selfsup.images import ImageBatch, ImageMaker
from hmer.selfsup.match import AttendConfig, Match

MOMENTS = (0, 25, 50, 75, 100)
"""Percent of the training."""
COUNT = 12


@dataclass(frozen=True, slots=True, eq=False)
class Exhibited:
    """One expression, its masks and where attention falls in the end."""

    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0."""
    hidden: Sequence[NDArray[np.bool_]]
    """(H, W) for each of `MOMENTS`."""
    shares: Sequence[float]
    """Of the ink that is hidden in each."""
    attention: NDArray[np.float32]
    """(H, W), sums to 1 over cells: every pixel has the value of its cell."""


class ObservedMatch(Match):
    """Student and teacher that are looked at on the way."""

    def __init__(
        self,
        config: AttendConfig,
        encoder: CompactEncoder,
        block: int,
        seed: int,
        exhibits: Sequence[ImageBatch] = (),
    ) -> None:
        super().__init__(config, encoder, block, seed)
        self.exhibits = exhibits
        self.maps: dict[int, list[Tensor]] = {}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Look, where a moment has come."""
        super().on_train_batch_start(batch, batch_idx)
        self.look()

    def look(self) -> None:
        """Keep the teacher's maps of moments that have come and are not kept yet."""
        progress = self.global_step / self.optimisation.steps
        for moment in MOMENTS:
            if moment <= 100 * progress and moment not in self.maps:
                self.maps[moment] = [self._map(self.teacher, one) for one in self.exhibits]

    def _map(self, network: AttentionNetwork, one: ImageBatch) -> Tensor:
        """Where a network's attention falls on an exhibit: (1, h, w)."""
        images = one.images.to(self.device)
        with torch.no_grad():
            cells = Cells.where(ink_cells(images, self.encoder.stride))
            found = network(self.encoder(images), cells, cells.valid)
            return cells.scatter(found.log_map.exp()).cpu()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the maps with the weights."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["maps"] = dict(self.maps)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the maps of the interrupted training."""
        super().on_load_checkpoint(checkpoint)
        self.maps = dict(checkpoint["maps"])

    def shown(self) -> list[Exhibited]:
        """The exhibits with their masks of all moments; the training has ended."""
        self.encoder.eval()
        self.look()
        return [
            self._exhibited(one, [self.maps[moment][k] for moment in MOMENTS], k)
            for k, one in enumerate(self.exhibits)
        ]

    def _exhibited(self, one: ImageBatch, maps: Sequence[Tensor], number: int) -> Exhibited:
        hidden, shares = [], []
        for moment, attention in zip(MOMENTS, maps, strict=True):
            share = self.config.curriculum.share(moment / 100)
            with torch.random.fork_rng():
                torch.manual_seed(self.seed * 1_000_003 + number)
                pixels = self.mask(one, share, attention)[1]
            hidden.append(pixels[0, 0].numpy())
            shares.append(float(hidden_share(one.images, pixels)))
        stride = self.encoder.stride
        spread = self._map(self.attention, one)[0].repeat_interleave(stride, dim=0)
        spread = spread.repeat_interleave(stride, dim=1)
        image = (one.images[0, 0].numpy() * 255).round().astype(np.uint8)
        return Exhibited(image, hidden, shares, spread.numpy())


def exhibits(maker: ImageMaker, sizes: Sizes, stride: int) -> list[ImageBatch]:
    """A dozen expressions (or all, if fewer), drawn as they are, each a batch of its own.

    Spread evenly over the ranks of width from a fifth to four fifths: what a set usually holds,
    from short to long.

    Args:
        maker: of drawings.
        sizes: (n, 2) heights and widths of its expressions.
        stride: pixels per cell.
    """
    order = np.lexsort((np.arange(len(sizes)), sizes[:, 1]))
    ranks = np.linspace(0.2, 0.8, COUNT) * (len(order) - 1)
    rng = np.random.default_rng(0)  # nothing is drawn at random, but a maker wants one
    made = []
    for index in dict.fromkeys(order[np.round(ranks).astype(np.int64)].tolist()):
        height, width = (int(-(-side // stride) * stride) for side in sizes[index])
        made.append(maker(PlannedBatch(np.array([index]), np.ones(1), height, width), rng))
    return made
