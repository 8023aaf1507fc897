"""Phase 1, *Mask & Match*: contrastive pretraining of the encoder, without labels.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss together.
*Our design*: NT-Xent over the mean of the ink cells (global), InfoNCE over cells that hold the
same piece of ink in both views (local); views made from the strokes where there are any, from the
image elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from torch import Tensor

from hmer.data.batches import BatchConfig, BatchStream
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import split_scale
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.models.checkpoint import save_module
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import ink_cells
from hmer.selfsup.losses import (
    cells_at,
    embedding_metrics,
    ink_mean,
    local_info_nce,
    nt_xent,
    projector,
)
from hmer.selfsup.views import ViewBatch, ViewMaker
from hmer.training.fit import RunContext, fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig

DROP_STROKES = 0.05
"""Rate, in the second view of ink."""
CROP = 0.2
"""Share of its width that the second view of an image loses."""

METRICS = (
    "loss", "loss_global", "loss_local",
    "spread", "alignment", "uniformity",
    "spread_local", "alignment_local", "uniformity_local",
)  # fmt: skip


class PretrainConfig(BaseModel):
    """Parameters of phase 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: CompactConfig = CompactConfig()
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    points: int = Field(32, ge=1, le=256, description="matched cells per expression")
    temperature: float = Field(0.1, gt=0, le=10)
    global_weight: float = Field(0.25, ge=0, description="0: without the global loss")
    local_weight: float = Field(1.0, ge=0, description="0: without the local loss")
    collapse: float = Field(
        0.1, ge=0, lt=1, description="least spread of embeddings, as a share of the even spread"
    )

    @field_validator("local_weight")
    @classmethod
    def _some_loss(cls, weight: float, info: ValidationInfo) -> float:
        if not weight and not info.data.get("global_weight", 0.25):
            raise ValueError("nothing to learn from: set global_weight or local_weight above 0")
        return weight


PROJECTION = 128
"""Channels of an embedding (Chen et al., 2020)."""


class Contrast(SteppedModule):
    """Two views through the encoder and projectors, and the joint loss.

    A weight of 0 leaves the projector of that loss out.
    """

    def __init__(self, config: PretrainConfig, seed: int) -> None:
        super().__init__(config.optimisation, seed)
        self.config = config
        self.encoder = CompactEncoder(config.encoder)
        channels = self.encoder.channels
        sizes = (channels, 2 * channels, PROJECTION)
        self.project_global = projector(*sizes) if config.global_weight else None
        self.project_local = projector(*sizes) if config.local_weight else None

    def losses(self, batch: ViewBatch) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """`global` and `local`; measured: how well embeddings are spread out and aligned."""
        features, stride = self.encoder(batch.images), self.encoder.stride
        zero = batch.images.new_zeros(())
        losses, measured = {"global": zero, "local": zero}, {}
        temperature = self.config.temperature
        if self.project_global is not None:
            whole = self.project_global(ink_mean(features, ink_cells(batch.images, stride)))
            first, second = (view[batch.fresh] for view in whole.chunk(2))
            # A batch of one expression has nothing to be contrasted with.
            loss = nt_xent(first, second, temperature) if len(first) > 1 else 0.0 * first.sum()
            losses["global"] = self.config.global_weight * loss
            measured.update(embedding_metrics(first, second))
        if self.project_local is not None:
            first, second = self.project_local(cells_at(features, batch.points, stride)).chunk(2)
            loss = local_info_nce(first, second, batch.valid, temperature)
            losses["local"] = self.config.local_weight * loss
            measured.update(embedding_metrics(first[batch.valid], second[batch.valid], "_local"))
        return losses, measured

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


def pretrain(
    config: PretrainConfig,
    render: RenderConfig,
    train: Path,
    out: Path,
    run: RunContext,
    seed: int,
) -> dict[str, float]:
    """Train the encoder on the train split and write it with its curves and metrics.

    Args:
        config: parameters.
        render: scale at which ink is drawn (that of the data set).
        train: Parquet file; only ink and images are read, never labels.
        out: existing directory; gets encoder.safetensors, encoder.json, curves.csv, metrics.json.
        run: surroundings.
        seed: of everything random.

    Raises:
        HmerError: fewer than two expressions, or the embeddings collapsed.
    """
    expressions: Expressions = load_expressions(train)
    if len(expressions) < 2:
        raise HmerError(f"{train}: a contrastive loss needs at least two expressions")
    torch.manual_seed(seed)
    module = Contrast(config, seed)
    stride = module.encoder.stride
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, stride, seed, scales, least=2)
    maker = ViewMaker(
        expressions, render, augmentation, scales, config.points, stride,
        drop_rate=DROP_STROKES, crop=CROP,
    )  # fmt: skip
    fit(module, stream, maker, run, title="pretrain")

    about = {"kind": "encoder", "config": config.encoder.model_dump(mode="json")}
    save_module(module.encoder, out / "encoder.safetensors", about)
    return module.curves.write_outcome(out, METRICS)
