"""The attention refinement module (ARM) of CoMER (Zhao and Gao, ECCV 2022, section 3.2)."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.area import extents


class ArmConfig(BaseModel):
    """What attention is refined by; the defaults are CoMER's Fusion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    self_coverage: bool = Field(True, description="use where this layer has looked")
    cross_coverage: bool = Field(True, description="use where the layer below has looked")
    channels: int = Field(32, ge=1, le=256)
    side: int = Field(5, ge=1, le=15, description="of the convolution, odd")


_SMALL = 1 << 16
"""Numbers of coverage below which it takes longer to cut images apart than it saves."""


class MaskedBatchNorm(nn.Module):
    """Batch normalisation whose statistics are of the unpadded cells only.

    In training the statistics are of all rows of the batch, both directions and all time steps
    (those behind the end of a caption too), as in the published code.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Normalise x (B, S, channels, h, w), valid bool (B, h, w); padding comes out finite."""
        x = x.float()
        if self.training:
            mean, var = self._statistics(x, valid[:, None, None].float())
        else:
            mean, var = self.running_mean, self.running_var
        scale, shift = self.affine(mean, var)
        return x * scale[:, None, None] + shift[:, None, None]

    def affine(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """What channels of these statistics are multiplied by, and what is added: (channels,)."""
        scale = self.weight * (var + self.eps).rsqrt()
        return scale, self.bias - mean * scale

    def _statistics(self, x: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of this batch; the running ones follow."""
        count = kept.sum() * x.shape[1]
        mean = (x * kept).sum(dim=(0, 1, 3, 4)) / count
        var = ((x - mean[:, None, None]).square() * kept).sum(dim=(0, 1, 3, 4)) / count
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return mean, var


class Gate(nn.Module):
    """Weighs the hidden maps of an ARM; the identity, unless a subclass says otherwise."""

    def forward(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """Hidden (B, S, channels, h, w), 0 outside valid bool (B, h, w), to the same shape."""
        return hidden


class AttentionRefinement(nn.Module):
    """From where the decoder has looked so far to what its attention is lowered by.

    Args:
        heads: of the attention that is refined.
        config: which coverage is used.
        gate: works on the hidden maps (HMER-MTL).
    """

    def __init__(self, heads: int, config: ArmConfig, gate: Gate | None = None) -> None:
        super().__init__()
        self.maps = heads * (config.self_coverage + config.cross_coverage)
        self.config = config
        self.conv = nn.Conv2d(self.maps, config.channels, config.side, padding=config.side // 2)
        self.gate = gate
        self.project = nn.Conv2d(config.channels, heads, 1, bias=False)
        self.norm = MaskedBatchNorm(heads)

    def stack(self, below: Tensor, own: Tensor) -> Tensor:
        """The maps (..., heads, N) that count, of the layer below (refined) and of this layer."""
        chosen = [below] * self.config.cross_coverage + [own] * self.config.self_coverage
        return torch.cat(chosen, dim=-2)

    def forward(self, coverage: Tensor, valid: Tensor) -> Tensor:
        """Refinement term of S steps of each image.

        Args:
            coverage: (B, S, maps, h, w), sums of the attention of all steps before each.
            valid: bool (B, h, w).

        Returns:
            (B, S, heads, h, w), to be subtracted from the attention logits.
        """
        if not (self.training or torch.is_grad_enabled() or coverage.device.type != "cpu"):
            return self._by_image(coverage, valid)
        steps = coverage.shape[1]
        hidden = functional.relu(self.conv(coverage.flatten(0, 1)))
        hidden = hidden.view(-1, steps, *hidden.shape[1:]) * valid[:, None, None].to(hidden.dtype)
        if self.gate is not None:
            hidden = cast(Tensor, self.gate(hidden, valid))
        refined = self.project(hidden.flatten(0, 1))
        return cast(Tensor, self.norm(refined.view(-1, steps, *refined.shape[1:]), valid))

    def _by_image(self, coverage: Tensor, valid: Tensor) -> Tensor:
        """The same for reading on a CPU: each image's own cells only, and within the cache.

        The normalisation is folded into the projection before it.
        """
        scale, shift = self.norm.affine(self.norm.running_mean, self.norm.running_var)
        weight = self.project.weight * scale[:, None, None, None]
        if coverage.numel() < _SMALL and self.gate is None:
            hidden = self.conv(coverage.flatten(0, 1)).relu_()
            small = functional.conv2d(hidden, weight, shift)
            return small.view(*coverage.shape[:2], *small.shape[1:])
        found = coverage.new_zeros(*coverage.shape[:2], len(weight), *coverage.shape[3:])
        for image, (rows, columns) in enumerate(extents(valid)):
            hidden = self.conv(coverage[image, ..., :rows, :columns]).relu_()
            if self.gate is not None:
                inside = valid[image : image + 1, :rows, :columns]
                hidden = self.gate(hidden.unsqueeze(0) * inside[:, None, None], inside).squeeze(0)
            found[image, ..., :rows, :columns] = functional.conv2d(hidden, weight, shift)
        return found
