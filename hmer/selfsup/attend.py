"""Phase 2, *Mask & Match*: the attention network, trained by progressive spatial masking.

*From the abstract* (arXiv 2508.06107): a self-supervised attention network; a masking curriculum
that grows harder. *Our design*: what is matched and how. A student sees what is left of the ink,
its slow average (the teacher) sees everything; from what is left, attended features must match the
teacher's, globally and at the hidden cells. The encoder of phase 1 stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from hmer.data.batches import BatchConfig, BatchStream
from hmer.data.dataset import load_expressions
from hmer.data.drawing import split_scale
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.masking import Curriculum, hidden_share, hide_ink
from hmer.models.checkpoint import load_weights, read_config, save_module
from hmer.models.common.attention import Attended, AttentionConfig, AttentionNetwork
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.selfsup.losses import evenness, evenness_penalty, projector
from hmer.selfsup.mask_snapshots import curriculum_plot, mask_snapshots
from hmer.selfsup.views import ImageMaker
from hmer.training.fit import RunContext, fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig

TEACHER_DECAY = 0.99
EVEN = (0.5, 0.95)
"""Band of the map's evenness: below, it sees one cell only; above, it is nearly uniform."""

METRICS = ("loss", "loss_global", "loss_local", "evenness_of_map", "hidden")


class AttendConfig(BaseModel):
    """Parameters of phase 2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attention: AttentionConfig = AttentionConfig()
    optimisation: OptimisationConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    curriculum: Curriculum = Curriculum()
    block: float = Field(1.0, gt=0, le=8, description="side of a hidden block in symbol units")


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
        sizes = (channels, 2 * channels, channels)
        self.predict_global, self.predict_local = projector(*sizes), projector(*sizes)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step; the frozen parts do not learn statistics either."""
        super().on_train_batch_start(batch, batch_idx)
        self.encoder.eval()
        self.teacher.eval()

    def losses(self, images: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """`global`, `local`, `evenness` of drawings (B, 1, H, W).

        Measured: planned and hidden share, evenness of the map.
        """
        config = self.config
        share = config.curriculum.share(self.global_step / config.optimisation.steps)
        with torch.no_grad():
            whole = self.encoder(images)
            cells = Cells.where(ink_cells(images, self.encoder.stride))
            target = self.teacher(whole, cells, cells.valid)
            target_cells = standardised(target.features, cells.valid)
            seen, visible, gone = whole, cells.valid, images.new_zeros(())
            if share:
                masked, hidden = hide_ink(images, share, self.block)
                gone = hidden_share(images, hidden).mean()
                seen = self.encoder(masked)
                left = ink_cells(masked, self.encoder.stride).flatten(1).gather(1, cells.index)
                visible = left & cells.valid
        attended: Attended = self.attention(seen, cells, visible)
        even = evenness(attended.log_map)
        mean = self.predict_global(pooled(attended.features, attended.log_map))
        lost = cells.valid & ~visible
        off = mismatch(self.predict_local(attended.features[lost]), target_cells[lost])
        losses = {
            "global": mismatch(mean, pooled(target_cells, target.log_map)).mean(),
            "local": off.sum() / lost.sum().clamp(min=1),
            "evenness": evenness_penalty(even, *EVEN),
        }
        planned = torch.tensor(share)
        return losses, {"planned": planned, "hidden": gone, "evenness_of_map": even.mean()}

    def after_step(self) -> None:
        """The teacher follows the student (Tarvainen and Valpola, 2017, equation 1)."""
        with torch.no_grad():
            for slow, fast in zip(
                self.teacher.parameters(), self.attention.parameters(), strict=True
            ):
                slow.lerp_(fast, 1 - TEACHER_DECAY)


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
    show: Path | None = None,
) -> dict[str, float]:
    """Train the attention network and write it with its curves, metrics and pictures.

    Args:
        config: parameters.
        render: scale at which ink is drawn.
        train: Parquet file; labels are not read.
        encoder: weights from phase 1.
        out: existing directory; gets attention.safetensors, attention.json, curves.csv,
            metrics.json, curriculum.png, and masks.png with `show`.
        run: surroundings.
        seed: of everything random.
        show: Parquet file (validation) of which a dozen expressions are shown with their masks
            and the attention on them.

    Raises:
        HmerError: the encoder is missing, damaged or of another shape; a loss is not finite.
    """
    expressions = load_expressions(train)
    torch.manual_seed(seed)
    block = max(2, round(config.block * render.unit))
    trained = load_encoder(encoder)
    module = Match(config, trained, block, seed)
    augmentation, scales = split_scale(config.augment)
    stream = BatchStream(expressions.sizes, config.batch, trained.stride, seed, scales)
    maker = ImageMaker(expressions, render, augmentation)
    fit(module, stream, maker, run, title="attend")

    about = {
        "kind": "attention",
        "channels": trained.channels,
        "config": config.attention.model_dump(mode="json"),
    }
    save_module(module.attention, out / "attention.safetensors", about)
    hidden = [(step, value) for step, name, value in module.curves.rows if name == "hidden"]
    plot = curriculum_plot(config.curriculum, config.optimisation.steps, hidden)
    (out / "curriculum.png").write_bytes(plot)
    if show is not None:
        module.eval()
        png = mask_snapshots(
            module.encoder, module.attention, config.curriculum, block, seed, show, render
        )
        (out / "masks.png").write_bytes(png)
    return module.curves.write_outcome(out, METRICS)
