"""The network of phase 1: an encoder under a global and a local contrastive loss.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss together.
*Our design*: NT-Xent over the mean of the ink cells (global), InfoNCE over cells that hold the
same piece of ink in both views (local); the optional queue and slow encoder of MoCo.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain, zip_longest

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from torch import Tensor, nn

from hmer.data.batches import BatchConfig
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import ink_cells
from hmer.selfsup.global_loss import nt_xent
from hmer.selfsup.health import health
from hmer.selfsup.key_loss import key_info_nce
from hmer.selfsup.key_queue import KeyQueue
from hmer.selfsup.local_loss import cells_at, local_info_nce
from hmer.selfsup.pooling import ink_mean
from hmer.selfsup.projector import projector
from hmer.selfsup.views import ViewBatch
from hmer.training.distributed import gathered
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig


class PretrainConfig(BaseModel):
    """Parameters of phase 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: CompactConfig = CompactConfig()
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    drop_strokes: float = Field(0.05, ge=0, lt=1, description="rate, in the second view of ink")
    crop: float = Field(
        0.2, ge=0, lt=1, description="share of its width that the second view of an image loses"
    )
    points: int = Field(32, ge=1, le=256, description="matched cells per expression")
    temperature: float = Field(0.1, gt=0, le=10)
    global_weight: float = Field(0.25, ge=0, description="0: without the global loss")
    local_weight: float = Field(1.0, ge=0, description="0: without the local loss")
    queue: int = Field(
        0, ge=0, le=2**20, description="embeddings of earlier batches among the global negatives"
    )
    momentum: float = Field(
        0.0, ge=0, lt=1, description="of a slow encoder for the second view (MoCo); 0: one for both"
    )
    projection: int = Field(128, ge=8, le=4096)
    hidden: int | None = Field(
        None, ge=8, le=16384, description="width in the projectors; None: twice the encoder's"
    )
    collapse: float = Field(
        0.1, ge=0, lt=1, description="least spread of embeddings, as a share of the even spread"
    )

    @field_validator("local_weight")
    @classmethod
    def _some_loss(cls, weight: float, info: ValidationInfo) -> float:
        if not weight and not info.data.get("global_weight", 0.25):
            raise ValueError("nothing to learn from: set global_weight or local_weight above 0")
        return weight


class Tower(nn.Module):
    """Encoder and projectors; a weight of 0 leaves the projector of that loss out."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.encoder = CompactEncoder(config.encoder)
        channels = self.encoder.channels
        sizes = (channels, config.hidden or 2 * channels, config.projection)
        self.project_global = projector(*sizes) if config.global_weight else None
        self.project_local = projector(*sizes) if config.local_weight else None

    def forward(self, images: Tensor, points: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Embeddings of images (n, 1, H, W): (n, d), and of cells at points (n, K, 2): (n, K, d).

        None for what no loss needs.
        """
        features = self.encoder(images)
        whole, parts = None, None
        if self.project_global is not None:
            whole = self.project_global(ink_mean(features, ink_cells(images, self.encoder.stride)))
        if self.project_local is not None:
            parts = self.project_local(cells_at(features, points, self.encoder.stride))
        return whole, parts


class Contrast(SteppedModule):
    """Two views through the encoder, or one of them through its slow copy, and the joint loss."""

    def __init__(self, config: PretrainConfig, seed: int) -> None:
        super().__init__(config.optimisation, seed)
        self.config = config
        self.tower = Tower(config)
        self.slow = copy.deepcopy(self.tower).requires_grad_(False) if config.momentum else None
        wanted = config.queue and config.global_weight
        self.queue = KeyQueue(config.queue, config.projection) if wanted else None
        self._fresh_keys: list[tuple[Tensor, Tensor]] = []

    @property
    def encoder(self) -> CompactEncoder:
        """What is kept in the end."""
        return self.tower.encoder

    def losses(self, batch: ViewBatch) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """`global` and `local`; measured: how well embeddings are spread out and aligned."""
        whole, parts = self._embed(batch)
        zero = batch.images.new_zeros(())
        losses, measured = {"global": zero, "local": zero}, {}
        if whole is not None:
            first, second = (x[batch.fresh] for x in whole)
            samples = batch.samples[batch.fresh]
            contrast = self._contrast(first, second, samples)
            losses["global"] = self.config.global_weight * contrast
            measured.update(health(first, second))
            if self.queue is not None:
                self._fresh_keys.append((second.detach(), samples))
        if parts is not None:
            mine, other = parts
            temperature = self.config.temperature
            contrast = local_info_nce(mine, other, batch.valid, temperature)
            losses["local"] = self.config.local_weight * contrast
            measured.update(health(mine[batch.valid], other[batch.valid], "_local"))
        return losses, measured

    def _embed(
        self, batch: ViewBatch
    ) -> tuple[tuple[Tensor, Tensor] | None, tuple[Tensor, Tensor] | None]:
        """Embeddings of both views: of expressions, and of their matched cells."""
        if self.slow is None:
            whole, parts = self.tower(batch.images, batch.points)
            return (
                None if whole is None else whole.chunk(2),
                None if parts is None else parts.chunk(2),
            )
        images, points = list(batch.images.chunk(2)), list(batch.points.chunk(2))
        # Either view may be the one that is learnt from.
        turn = int(torch.randint(2, ()))
        queries = self.tower(images[turn], points[turn])
        with torch.no_grad():
            keys = self.slow(images[1 - turn], points[1 - turn])
        whole, parts = (
            None if query is None else (query, key)
            for query, key in zip(queries, keys, strict=True)
        )
        return whole, parts

    def _contrast(self, first: Tensor, second: Tensor, samples: Tensor) -> Tensor:
        """The global loss; 0 where a batch of one expression has nothing to be told from."""
        negatives, others = self.queue.negatives(samples) if self.queue else (None, None)
        if len(first) < 2 and (negatives is None or not len(negatives)):
            return 0.0 * first.sum()
        loss = nt_xent if self.slow is None else key_info_nce
        return loss(first, second, self.config.temperature, negatives, others)

    def after_step(self) -> None:
        """The slow encoder follows (He et al., 2020, equation 2); the queue takes the new keys.

        Keys of all batches of the step, on all processes, in the order of the batches: the queue
        does not depend on the number of processes.
        """
        if self.slow is not None:
            with torch.no_grad():
                pairs = zip(self.slow.parameters(), self.tower.parameters(), strict=True)
                for slow, fast in pairs:
                    slow.lerp_(fast, 1 - self.config.momentum)
        if self.queue is not None:
            turns = zip_longest(*gathered(self._fresh_keys))
            for pushed in chain.from_iterable(turns):
                if pushed is not None:
                    self.queue.push(*pushed)
            self._fresh_keys.clear()

    def check(self, means: Mapping[str, float]) -> None:
        """Stop when all expressions, or all pieces of ink, are mapped to one point.

        Raises:
            HmerError: the embeddings have collapsed.
        """
        heads = {"spread": "the embeddings", "spread_local": "the embeddings of cells"}
        for name, what in heads.items():
            spread_now = means.get(name, 1.0)
            if not spread_now >= self.config.collapse:
                raise HmerError(
                    f"pretrain: {what} collapsed (spread {spread_now:.3f} of an even "
                    f"spread, at least {self.config.collapse} wanted); lower "
                    "pretrain.optimisation.learning_rate or raise pretrain.temperature"
                )
