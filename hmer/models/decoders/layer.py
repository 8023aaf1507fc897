"""One layer of the Mask & Match decoder: all tokens at once, or the newest of many hypotheses."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.decoders.coverage import CoverageRefinement
from hmer.models.decoders.size import DecoderSize


class DecoderConfig(DecoderSize):
    """Size of the decoder, and what refines its attention."""

    coverage: int = Field(
        32, ge=0, le=256, description="hidden channels of the coverage refinement; 0: no coverage"
    )


class Look(NamedTuple):
    """What a layer's cross-attention says, and where it looked."""

    x: Tensor
    """(B, T, width): what went in and what was seen."""
    weights: Tensor
    """(B, heads, T, N), the attention weights, in fp32."""
    covered: Tensor
    """(B, heads, T, N), sums of the attention before refinement up to each step."""


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward (Xiong et al., 2020)."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_self, self.norm_cross, self.norm_forward = (nn.LayerNorm(width) for _ in range(3))
        self.self_project = nn.Linear(width, 3 * width)
        self.self_merge = nn.Linear(width, width)
        self.cross_query = nn.Linear(width, width)
        self.cross_project = nn.Linear(width, 2 * width)
        self.cross_merge = nn.Linear(width, width)
        self.forward_in = nn.Linear(width, config.feedforward)
        self.forward_out = nn.Linear(config.feedforward, width)
        self.dropout = nn.Dropout(config.dropout)
        self.coverage = (
            CoverageRefinement(config.heads, config.coverage) if config.coverage else None
        )

    def split(self, x: Tensor) -> Tensor:
        """(B, T, width) to (B, heads, T, width / heads)."""
        batch, length, _ = x.shape
        return x.view(batch, length, self.heads, -1).transpose(1, 2)

    def split_past(self, x: Tensor) -> Tensor:
        """(B, K, t, width) to (B, K, heads, t, width / heads)."""
        return x.view(*x.shape[:3], self.heads, -1).transpose(2, 3)

    def look(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Add what cross-attention sees to x (B, T, width)."""
        query = self.split(self.cross_query(self.norm_cross(x)))
        seen = functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=bias.to(query.dtype)
        )
        return x + cast(Tensor, self.dropout(self.cross_merge(seen.transpose(1, 2).flatten(2))))

    def look_openly(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        before: Tensor | None = None,
    ) -> Look:
        """`look` with its attention weights, refined by coverage: not fused, so slower.

        Args:
            x: (B, T, width).
            keys: of the memory, as `values` and `bias`.
            before: (B, heads, T, N), coverage before each row of x; None if the rows are steps
                that follow one another from the first on.
        """
        query = self.split(self.cross_query(self.norm_cross(x)))
        logits = (query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5).float() + bias
        weights = logits.softmax(dim=-1)
        covered = weights.cumsum(dim=2) if before is None else before + weights
        if self.coverage is not None:
            lower = self.coverage(covered - weights if before is None else before)
            weights = (logits - lower.float()).softmax(dim=-1)
        seen = weights.to(values.dtype) @ values
        merged = cast(Tensor, self.dropout(self.cross_merge(seen.transpose(1, 2).flatten(2))))
        return Look(x + merged, weights, covered)

    def think(self, x: Tensor) -> Tensor:
        """Add the feed-forward network's answer to x (B, T, width)."""
        hidden = functional.gelu(self.forward_in(self.norm_forward(x)))
        return x + cast(Tensor, self.dropout(self.forward_out(hidden)))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Teacher-forced pass over (B, T, width), causal in T."""
        x = self.listen(x)
        if self.coverage is None:
            return self.think(self.look(x, keys, values, bias))
        return self.think(self.look_openly(x, keys, values, bias).x)

    def listen(self, x: Tensor) -> Tensor:
        """Add what self-attention, causal in T, says to x (B, T, width)."""
        query, key, value = (self.split(y) for y in self.project(x))
        said = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return x + cast(Tensor, self.dropout(self.self_merge(said.transpose(1, 2).flatten(2))))

    def recall(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """`listen` for the newest token of each of K hypotheses.

        Args:
            x: (B, K, width).
            past: (B, K, 2, t, width), keys and values of the t tokens before.

        Returns:
            x with what self-attention says, and the grown `past`.
        """
        query, key, value = self.project(x)
        entry = torch.stack([key, value], dim=2).unsqueeze(3)
        entry = torch.cat([past, entry], dim=3)
        said = functional.scaled_dot_product_attention(
            self.split_past(query.unsqueeze(2)),
            self.split_past(entry[:, :, 0]),
            self.split_past(entry[:, :, 1]),
        )
        return x + cast(Tensor, self.self_merge(said.flatten(2))), entry

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of self-attention, each of x's shape."""
        query, key, value = cast(Tensor, self.self_project(self.norm_self(x))).chunk(3, dim=-1)
        return query, key, value
