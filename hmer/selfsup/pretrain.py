"""Phase 1, *Mask & Match*: contrastive pretraining of the encoder, without labels.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss together.
*Our design*: NT-Xent over the mean of the ink cells (global), InfoNCE over cells that hold the
same piece of ink in both views (local), views made from the strokes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from hmer.data.buckets import BatchConfig
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import split_scale
from hmer.data.stream import BatchStream
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.models.cells import ink_cells
from hmer.models.encoders.compact import CompactConfig, CompactEncoder
from hmer.models.store import save_module
from hmer.selfsup.global_loss import nt_xent
from hmer.selfsup.local_loss import cells_at, local_info_nce
from hmer.selfsup.pooling import ink_mean
from hmer.selfsup.projector import projector
from hmer.selfsup.views import ViewBatch, ViewMaker
from hmer.training.fit import fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig
from hmer.training.run import RunContext


class PretrainConfig(BaseModel):
    """Parameters of phase 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: CompactConfig = CompactConfig()
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    drop_strokes: float = Field(0.05, ge=0, lt=1, description="rate, in the second view")
    points: int = Field(16, ge=1, le=256, description="matched cells per expression")
    temperature: float = Field(0.2, gt=0, le=10)
    global_weight: float = Field(1.0, ge=0)
    local_weight: float = Field(1.0, ge=0)
    projection: int = Field(128, ge=8, le=4096)
    collapse: float = Field(
        0.1, ge=0, lt=1, description="least spread of embeddings, as a share of the even spread"
    )


class Contrast(SteppedModule):
    """Encoder and projectors under the joint loss."""

    def __init__(self, config: PretrainConfig, seed: int) -> None:
        super().__init__(config.optimisation, seed)
        self.config = config
        self.encoder = CompactEncoder(config.encoder)
        channels = self.encoder.channels
        self.project_global = projector(channels, 2 * channels, config.projection)
        self.project_local = projector(channels, 2 * channels, config.projection)

    def losses(self, batch: ViewBatch) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """`global` and `local`; measured: the spread of the global embeddings."""
        features = self.encoder(batch.images)
        cells = ink_cells(batch.images, self.encoder.stride)
        first, second = self.project_global(ink_mean(features, cells)).chunk(2)
        first, second = first[batch.fresh], second[batch.fresh]
        # A batch of one expression and its copies has nothing to contrast.
        contrast = (
            nt_xent(first, second, self.config.temperature) if len(first) > 1 else 0.0 * first.sum()
        )
        losses = {"global": self.config.global_weight * contrast}
        matched = cells_at(features, batch.points, self.encoder.stride)
        mine, other = self.project_local(matched).chunk(2)
        losses["local"] = self.config.local_weight * local_info_nce(
            mine, other, batch.valid, self.config.temperature
        )
        return losses, {"spread": spread(first)} if len(first) > 1 else {}

    def check(self, means: Mapping[str, float]) -> None:
        """Stop when all expressions are mapped to one point.

        Raises:
            HmerError: the embeddings have collapsed.
        """
        spread_now = means.get("spread", 1.0)
        if spread_now < self.config.collapse:
            raise HmerError(
                f"pretrain: the embeddings collapsed (spread {spread_now:.3f} of an even "
                f"spread, at least {self.config.collapse} wanted); lower pretrain.optimisation."
                "learning_rate or raise pretrain.temperature"
            )


def spread(embeddings: Tensor) -> Tensor:
    """Standard deviation of normalised embeddings (B, d) over the batch, 1 if even on the sphere.

    0 means that all are equal: the representation has collapsed (Chen and He, 2021, SimSiam).
    """
    unit = functional.normalize(embeddings.detach().float(), dim=1)
    return unit.std(dim=0).mean() * math.sqrt(unit.shape[1])


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
    """
    expressions: Expressions = load_expressions(train)
    if len(expressions) < 2:
        raise HmerError(f"{train}: a contrastive loss needs at least two expressions")
    torch.manual_seed(seed)
    module = Contrast(config, seed)
    stride = module.encoder.stride
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, stride, seed, scales, least=2)
    maker = ViewMaker(expressions, render, augmentation, scales, config.drop_strokes, config.points)
    fit(module, stream, maker, run, title="pretrain")

    about = {"kind": "encoder", "config": config.encoder.model_dump(mode="json")}
    save_module(module.encoder, out / "encoder.safetensors", about)
    module.curves.write(out / "curves.csv")
    names = ("loss", "loss_global", "loss_local", "spread")
    metrics = {name: round(module.curves.last(name), 4) for name in names}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics
