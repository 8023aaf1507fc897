"""The attention network of Mask & Match: where to look, and what the context adds.

*From the abstract* (Mitra, Chakraborty, Sahu, arXiv 2508.06107): an attention network trained
without labels by progressive spatial masking. *Our design*: everything else here. A spatial map
says which cells carry information; one self-attention layer, whose keys are weighted by that
map, completes each cell from the others. Further transformer layers over the same cells (`layers`)
give them the context that tells a letter's case, a 9 from a q or a prime from a comma.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.errors import HmerError
from hmer.models.common.ink_cells import Cells
from hmer.models.common.layers import Dropout


class AttentionConfig(BaseModel):
    """Size of the attention network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heads: int = Field(4, ge=1, le=16)
    hidden: int = Field(64, ge=8, le=512, description="channels of the map's own convolution")
    layers: int = Field(0, ge=0, le=12, description="transformer layers after the map's own layer")
    width: int = Field(192, ge=16, le=1024, multiple_of=4, description="of those layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="in those layers")


class Attended(NamedTuple):
    """Output of the attention network for M cells."""

    features: Tensor
    """(B, M, channels): the cells, completed by their context."""
    log_map: Tensor
    """(B, M): log of the spatial attention map, which sums to 1; -inf where it may not fall."""


class CellLayer(nn.Module):
    """Pre-norm transformer encoder layer over ink cells (Xiong et al., 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_self, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.forward_in = nn.Linear(width, 4 * width)
        self.forward_out = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def start_as_identity(self) -> None:
        """Let the layer add nothing until it is trained."""
        for output in (self.merge, self.forward_out):
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Cells (B, M, width) under an additive mask (B, 1, 1, M) on the keys."""
        query, key, value = split_heads(self.project(self.norm_self(x)), 3, self.heads)
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask.to(query.dtype)
        )
        x = x + self.dropout(self.merge(seen.transpose(1, 2).flatten(2)))
        hidden = functional.gelu(self.forward_in(self.norm_forward(x)))
        return x + cast(Tensor, self.dropout(self.forward_out(hidden)))


class CellEncoder(nn.Module):
    """Transformer layers over ink cells; as it starts, it adds nothing to the cells."""

    def __init__(self, channels: int, config: AttentionConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, config.width)
        self.layers = nn.ModuleList(
            CellLayer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.leave = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, channels))
        nn.init.zeros_(cast(nn.Linear, self.leave[1]).weight)
        nn.init.zeros_(cast(nn.Linear, self.leave[1]).bias)

    def forward(self, features: Tensor, cells: Cells, attendable: Tensor) -> Tensor:
        """What the context adds to the cells' features (B, M, channels)."""
        x = cast(Tensor, self.enter(features))
        x = x + cells.code(x.shape[-1]).to(x.dtype)
        mask = torch.zeros_like(attendable, dtype=x.dtype).masked_fill(~attendable, -torch.inf)
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return cast(Tensor, self.leave(x))


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, N, parts * channels) to `parts` tensors of (B, heads, N, channels / heads)."""
    batch, cells, _ = x.shape
    return x.view(batch, cells, parts, heads, -1).permute(2, 0, 3, 1, 4).contiguous().unbind(0)


class AttentionNetwork(nn.Module):
    """Encoder features in; a spatial attention map and attended features out."""

    def __init__(self, channels: int, config: AttentionConfig) -> None:
        super().__init__()
        if channels % config.heads:
            raise HmerError(
                f"attention.heads: the encoder's {channels} channels do not divide into "
                f"{config.heads} heads; choose a divisor"
            )
        if config.layers and config.width % config.heads:
            raise HmerError(
                f"attention.width: {config.width} does not divide into {config.heads} heads; "
                "choose a multiple"
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
        self.context = CellEncoder(channels, config) if config.layers else None

    def forward(self, features: Tensor, cells: Cells, attendable: Tensor) -> Attended:
        """Attend to a feature map (B, channels, h, w), to complete its M `cells`.

        Attention may fall where `attendable`, bool (B, M), is True: somewhere in each expression.
        """
        scores = cells.gather(self.score(features)).squeeze(-1).float()
        log_map = scores.masked_fill(~attendable, -torch.inf).log_softmax(dim=1)

        content = cells.gather(features)
        x = cast(Tensor, self.norm(content))
        placed = x + cells.code(x.shape[-1]).to(x.dtype)
        queries, keys = split_heads(self.queries_keys(placed), 2, self.heads)
        (values,) = split_heads(self.values(x), 1, self.heads)
        context = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=log_map[:, None, None, :].to(queries.dtype)
        )
        merged = cast(Tensor, self.merge(context.transpose(1, 2).flatten(2)))
        completed = content + merged
        if self.context is not None:
            completed = completed + self.context(completed, cells, attendable)
        return Attended(completed, log_map)
