"""Phase 2, *Mask & Match*: the attention network, trained by progressive spatial masking.

*From the abstract* (arXiv 2508.06107): a self-supervised attention network; a masking curriculum
that grows harder. *Our design*: what is matched and how. The student sees an expression of which
a growing share of the ink is hidden; a teacher (the student's slow average) sees all of it.
From what is left, attended features must match the teacher's, globally and at the hidden cells.
The encoder of phase 1 stays as it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from hmer.data.buckets import BatchConfig, PlannedBatch
from hmer.data.canvas import stack
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import draw, split_scale
from hmer.data.stream import BatchStream
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.models.attention import Attended, AttentionConfig, AttentionNetwork
from hmer.models.cells import Cells, ink_cells
from hmer.models.encoders.compact import CompactConfig, CompactEncoder
from hmer.models.store import load_weights, read_config, save_module
from hmer.selfsup.curriculum import Curriculum
from hmer.selfsup.map_regulariser import evenness, evenness_penalty
from hmer.selfsup.masking import hide_ink
from hmer.selfsup.projector import projector
from hmer.training.fit import fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig
from hmer.training.run import RunContext


class AttendConfig(BaseModel):
    """Parameters of phase 2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attention: AttentionConfig = AttentionConfig()
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    curriculum: Curriculum = Curriculum()
    block: float = Field(1.0, gt=0, le=8, description="side of a hidden block in symbol units")
    teacher_decay: float = Field(0.99, ge=0, lt=1)
    global_weight: float = Field(1.0, ge=0)
    local_weight: float = Field(1.0, ge=0)
    evenness_weight: float = Field(0.1, ge=0)
    evenness_low: float = Field(0.5, ge=0, le=1, description="below: the map sees one cell only")
    evenness_high: float = Field(0.95, ge=0, le=1, description="above: the map says nothing")


class Match(SteppedModule):
    """Student and teacher over a frozen encoder."""

    def __init__(
        self, config: AttendConfig, encoder: CompactEncoder, block: int, seed: int
    ) -> None:
        super().__init__(config.optimisation, seed)
        self.config = config
        self.block = block
        channels = encoder.channels
        self.encoder = encoder.requires_grad_(False)
        self.attention = AttentionNetwork(channels, config.attention)
        self.teacher = copy.deepcopy(self.attention).requires_grad_(False)
        self.predict_global = projector(channels, 2 * channels, channels)
        self.predict_local = projector(channels, 2 * channels, channels)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step; the frozen parts do not learn statistics either."""
        super().on_train_batch_start(batch, batch_idx)
        self.encoder.eval()
        self.teacher.eval()

    def losses(self, batch: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """`global`, `local` and `evenness`; measured: hidden share, evenness of the map."""
        config = self.config
        share = config.curriculum.share(self.global_step / config.optimisation.steps)
        images = batch
        masked, _ = hide_ink(images, share, self.block)
        with torch.no_grad():
            whole, seen = (self.encoder(x) for x in (images, masked))
            cells = Cells.where(ink_cells(images, self.encoder.stride))
            target = self.teacher(whole, cells, cells.valid)
            target_cells = standardised(target.features, cells.valid)
            target_mean = pooled(target_cells, target.log_map)
            left = ink_cells(masked, self.encoder.stride).flatten(1).gather(1, cells.index)
        visible = left & cells.valid
        attended: Attended = self.attention(seen, cells, visible)
        mean = self.predict_global(pooled(attended.features, attended.log_map))
        lost = cells.valid & ~visible
        guess = self.predict_local(attended.features[lost])
        even = evenness(attended.log_map)
        losses = {
            "global": config.global_weight * mismatch(mean, target_mean).mean(),
            "local": config.local_weight
            * mismatch(guess, target_cells[lost]).sum() / lost.sum().clamp(min=1),
            "evenness": config.evenness_weight
            * evenness_penalty(even, config.evenness_low, config.evenness_high),
        }  # fmt: skip
        return losses, {"hidden": torch.tensor(share), "evenness_of_map": even.mean()}

    def after_step(self) -> None:
        """The teacher follows the student (Tarvainen and Valpola, 2017, equation 1)."""
        decay = self.config.teacher_decay
        with torch.no_grad():
            for slow, fast in zip(
                self.teacher.parameters(), self.attention.parameters(), strict=True
            ):
                slow.lerp_(fast, 1 - decay)


def pooled(features: Tensor, log_map: Tensor) -> Tensor:
    """Mean of cells (B, N, channels) under the attention map (B, N): (B, channels)."""
    weights = log_map.exp().to(features.dtype)
    return torch.einsum("bn,bnc->bc", weights, features)


def standardised(features: Tensor, cells: Tensor) -> Tensor:
    """Features (B, N, C) with mean 0 and deviation 1 per channel over the batch's ink cells.

    Rectified features share a large common part, which would make any two cells look alike.
    """
    chosen = features[cells].float()
    centred = features.float() - chosen.mean(dim=0)
    return centred / (chosen.std(dim=0, correction=0) + 1e-4)


def mismatch(guess: Tensor, target: Tensor) -> Tensor:
    """2 - 2 cos(guess, target) per row (Grill et al., 2020, BYOL, equation 2): (n, d) to (n,)."""
    cosine = functional.cosine_similarity(guess.float(), target.float(), dim=-1)
    return 2 - 2 * cosine


class ImageMaker:
    """Draws every sample of a planned batch; labels are not read."""

    def __init__(self, expressions: Expressions, render: RenderConfig, augment: AugmentConfig):
        self.expressions = expressions
        self.render = render
        self.augment = augment

    def __call__(self, plan: PlannedBatch, rng: Any) -> Tensor:
        """Images (B, 1, H, W), ink 1 on 0."""
        drawn = [
            draw(
                self.expressions, int(index), self.render, self.augment, rng,
                float(scale), plan.height, plan.width,
            )[0].image
            for index, scale in zip(plan.samples, plan.scales, strict=True)
        ]  # fmt: skip
        return stack(drawn, plan.height, plan.width)


def load_encoder(path: Path) -> CompactEncoder:
    """The encoder that phase 1 wrote.

    Raises:
        HmerError: it is missing, damaged, or something else.
    """
    encoder = CompactEncoder(read_config(path, "encoder", CompactConfig))
    load_weights(encoder, path)
    return encoder


def attend(
    config: AttendConfig,
    render: RenderConfig,
    train: Path,
    encoder: Path,
    out: Path,
    run: RunContext,
    seed: int,
) -> dict[str, float]:
    """Train the attention network and write it with its curves and metrics.

    Args:
        config: parameters.
        render: scale at which ink is drawn.
        train: Parquet file; labels are not read.
        encoder: weights from phase 1.
        out: existing directory; gets attention.safetensors, attention.json, curves.csv,
            metrics.json.
        run: surroundings.
        seed: of everything random.
    """
    expressions = load_expressions(train)
    torch.manual_seed(seed)
    block = max(2, round(config.block * render.unit))
    module = Match(config, load_encoder(encoder), block, seed)
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, module.encoder.stride, seed, scales)
    maker = ImageMaker(expressions, render, augmentation)
    fit(module, stream, maker, run, title="attend")

    about = {
        "kind": "attention",
        "channels": module.encoder.channels,
        "config": config.attention.model_dump(mode="json"),
    }
    save_module(module.attention, out / "attention.safetensors", about)
    module.curves.write(out / "curves.csv")
    names = ("loss", "loss_global", "loss_local", "evenness_of_map", "hidden")
    metrics = {name: round(module.curves.last(name), 4) for name in names}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics
