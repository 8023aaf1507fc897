"""The attention network of Mask & Match: where to look, and what the context adds.

*From the abstract* (Mitra, Chakraborty, Sahu, arXiv 2508.06107): an attention network trained
without labels by progressive spatial masking. *Our design*: everything else here. A spatial map
says which cells carry information; one self-attention layer, whose keys are weighted by that
map, completes each cell from the others. Phase 2 can only predict what is hidden by looking at
informative cells, so the map learns which those are.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.errors import HmerError
from hmer.models.cells import Cells


class AttentionConfig(BaseModel):
    """Size of the attention network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: int = Field(4, ge=1, le=16)
    hidden: int = Field(64, ge=8, le=512, description="channels of the map's own convolution")


class Attended(NamedTuple):
    """Output of the attention network for M cells."""

    features: Tensor
    """(B, M, channels): the cells, completed by their context."""
    log_map: Tensor
    """(B, M): log of the spatial attention map, which sums to 1; -inf where it may not fall."""


class AttentionNetwork(nn.Module):
    """Encoder features in; a spatial attention map and attended features out."""

    def __init__(self, channels: int, config: AttentionConfig) -> None:
        super().__init__()
        if channels % config.heads:
            raise HmerError(
                f"attention.heads: the encoder's {channels} channels do not divide into "
                f"{config.heads} heads; choose a divisor"
            )
        self.heads = config.heads
        self.score = nn.Sequential(
            nn.Conv2d(channels, config.hidden, 3, padding=1), nn.GELU(),
            nn.Conv2d(config.hidden, 1, 1),
        )  # fmt: skip
        self.norm = nn.LayerNorm(channels)
        self.queries_keys = nn.Linear(channels, 2 * channels)
        self.values = nn.Linear(channels, channels)
        self.merge = nn.Linear(channels, channels)
        nn.init.zeros_(self.merge.weight)  # starts as the identity: the context adds nothing yet
        nn.init.zeros_(self.merge.bias)

    def forward(self, features: Tensor, cells: Cells, attendable: Tensor) -> Attended:
        """Attend to a feature map.

        Args:
            features: (B, channels, h, w) from the encoder.
            cells: the M cells to complete.
            attendable: bool (B, M), True for the cells on which attention may fall; each
                expression needs at least one.
        """
        scores = cells.gather(self.score(features)).squeeze(-1).float()
        log_map = scores.masked_fill(~attendable, -torch.inf).log_softmax(dim=1)

        content = cells.gather(features)
        x = cast(Tensor, self.norm(content))
        queries, keys = self._split(self.queries_keys(x + cells.code(x.shape[-1]).to(x.dtype)), 2)
        (values,) = self._split(self.values(x), 1)
        context = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=log_map[:, None, None, :].to(queries.dtype)
        )
        merged = cast(Tensor, self.merge(context.transpose(1, 2).flatten(2)))
        return Attended(content + merged, log_map)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, N, parts * channels) to `parts` tensors of (B, heads, N, channels / heads)."""
        batch, cells, _ = x.shape
        return (
            x.view(batch, cells, parts, self.heads, -1)
            .permute(2, 0, 3, 1, 4)
            .contiguous()
            .unbind(0)
        )
