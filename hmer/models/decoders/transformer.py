"""A transformer decoder that can be run all at once (training) or step by step (decoding)."""

from __future__ import annotations

from typing import NamedTuple, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.positions import sinusoid


class DecoderConfig(BaseModel):
    """Size of the transformer decoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(2, ge=1, le=12)
    width: int = Field(192, ge=16, le=1024, multiple_of=4)
    heads: int = Field(4, ge=1, le=16)
    feedforward: int = Field(512, ge=16, le=4096)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        return self


class CrossMemory(NamedTuple):
    """What the layers look at: keys and values of every layer, projected once per image."""

    keys: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    values: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    bias: Tensor
    """(B, 1, 1, N), added to the attention logits; -inf where a cell must not be seen."""


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
        self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`look` with its attention weights (B, heads, T, N), in fp32: not fused, so slower."""
        query = self.split(self.cross_query(self.norm_cross(x)))
        logits = query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = (logits.float() + bias).softmax(dim=-1)
        seen = weights.to(values.dtype) @ values
        merged = cast(Tensor, self.dropout(self.cross_merge(seen.transpose(1, 2).flatten(2))))
        return x + merged, weights

    def think(self, x: Tensor) -> Tensor:
        """Add the feed-forward network's answer to x (B, T, width)."""
        hidden = functional.gelu(self.forward_in(self.norm_forward(x)))
        return x + cast(Tensor, self.dropout(self.forward_out(hidden)))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Teacher-forced pass over (B, T, width), causal in T."""
        return self.think(self.look(self.listen(x), keys, values, bias))

    def listen(self, x: Tensor) -> Tensor:
        """Add what self-attention, causal in T, says to x (B, T, width)."""
        query, key, value = (self.split(y) for y in self.project(x))
        said = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return x + cast(Tensor, self.dropout(self.self_merge(said.transpose(1, 2).flatten(2))))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of self-attention, each of x's shape."""
        query, key, value = cast(Tensor, self.self_project(self.norm_self(x))).chunk(3, dim=-1)
        return query, key, value


class TransformerDecoder(nn.Module):
    """Tokens and a grid of cells in, logits over the vocabulary out."""

    def __init__(self, config: DecoderConfig, vocabulary: int) -> None:
        super().__init__()
        self.width = config.width
        self.embed = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embed.weight, std=config.width**-0.5)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, vocabulary)
        self.dropout = nn.Dropout(config.dropout)

    def remember(self, content: Tensor, code: Tensor, bias: Tensor) -> CrossMemory:
        """Project a grid of cells once for all layers and steps.

        Args:
            content: (B, N, width) features.
            code: (B, N, width) position code, added to the keys only.
            bias: (B, N) added to the attention logits.
        """
        keys, values = [], []
        for layer in self._layers():
            key_weight, value_weight = layer.cross_project.weight.chunk(2)
            key_bias, value_bias = layer.cross_project.bias.chunk(2)
            keys.append(layer.split(functional.linear(content + code, key_weight, key_bias)))
            values.append(layer.split(functional.linear(content, value_weight, value_bias)))
        return CrossMemory(tuple(keys), tuple(values), bias[:, None, None, :])

    def forward(self, tokens: Tensor, memory: CrossMemory) -> Tensor:
        """Teacher-forced logits (B, T, vocabulary) for input tokens (B, T)."""
        x = self._read(tokens, 0)
        for layer, keys, values in zip(self._layers(), memory.keys, memory.values, strict=True):
            x = layer(x, keys, values, memory.bias)
        return cast(Tensor, self.head(self.norm(x)))

    def step(
        self, tokens: Tensor, memory: CrossMemory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One token further for K hypotheses of each of B images.

        Args:
            tokens: (B, K), the newest token of each hypothesis.
            memory: of the B images; shared by the K hypotheses, never copied.
            past: per layer (B, K, 2, t, width), keys and values so far; () at the start.

        Returns:
            Logits (B, K, vocabulary) and the new `past`.
        """
        position = past[0].shape[3] if past else 0
        x = self._read(tokens.unsqueeze(-1), position).squeeze(2)
        grown = []
        for index, layer in enumerate(self._layers()):
            query, key, value = layer.project(x)
            entry = torch.stack([key, value], dim=2).unsqueeze(3)
            entry = torch.cat([past[index], entry], dim=3) if past else entry
            grown.append(entry)
            said = functional.scaled_dot_product_attention(
                layer.split_past(query.unsqueeze(2)),
                layer.split_past(entry[:, :, 0]),
                layer.split_past(entry[:, :, 1]),
            )
            x = x + cast(Tensor, layer.self_merge(said.flatten(2)))
            x = layer.think(layer.look(x, memory.keys[index], memory.values[index], memory.bias))
        return cast(Tensor, self.head(self.norm(x))), tuple(grown)

    def watched(self, tokens: Tensor, memory: CrossMemory) -> tuple[Tensor, Tensor]:
        """`forward`, and where the last layer looked.

        Returns:
            Logits (B, T, vocabulary) for tokens (B, T), and the cross-attention (B, T, N) of the
            last layer, mean over heads, in fp32.
        """
        x = self._read(tokens, 0)
        *others, last = list(zip(self._layers(), memory.keys, memory.values, strict=True))
        for layer, keys, values in others:
            x = layer(x, keys, values, memory.bias)
        layer, keys, values = last
        x, weights = layer.look_openly(layer.listen(x), keys, values, memory.bias)
        return cast(Tensor, self.head(self.norm(layer.think(x)))), weights.mean(dim=1)

    def cross_attention(self, tokens: Tensor, memory: CrossMemory) -> Tensor:
        """Cross-attention of the last layer, mean over heads: (B, T, N) for tokens (B, T)."""
        return self.watched(tokens, memory)[1]

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))

    def _read(self, tokens: Tensor, position: int) -> Tensor:
        """Embed tokens (..., T) that start at `position`."""
        places = torch.arange(position, position + tokens.shape[-1], device=tokens.device)
        code = sinusoid(places, self.width)
        scaled = cast(Tensor, self.embed(tokens)) * self.width**0.5
        return cast(Tensor, self.dropout(scaled + code))
