"""Transformer decoder of Mask & Match: coverage of ink cells, guided attention.

It runs over all tokens at once (training) or over the newest token of many hypotheses (decoding).
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.common.kv_cache import causal_attention
from hmer.models.common.layers import DecoderSize, sinusoid, split_heads

COVERAGE_SCALE = 4.0
"""A symbol of a few cells is read once: a cell's coverage by one head is well below 1."""


class CoverageRefinement(nn.Module):
    """From the attention that a cell has had so far to what its logits are lowered by.

    After the attention refinement module of CoMER (Zhao and Gao, ECCV 2022, section 3.2). *Our
    design* is what makes it cheap: each cell is judged by its own coverage alone, without a
    convolution, and without normalisation over the batch.
    """

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(heads, channels)
        self.project = nn.Linear(channels, heads, bias=False)

    def forward(self, covered: Tensor) -> Tensor:
        """Sums of the attention before each step, and the refinement: (B, heads, T, N) both."""
        hidden = torch.relu(self.hidden(COVERAGE_SCALE * covered.permute(0, 2, 3, 1)))
        refined: Tensor = self.project(hidden)
        return refined.permute(0, 3, 1, 2)


class DecoderConfig(DecoderSize):
    """Size of the decoder, and what refines its attention."""

    coverage: int = Field(
        32, ge=1, le=256, description="hidden channels of the coverage refinement"
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
        self.coverage = CoverageRefinement(config.heads, config.coverage)

    def start_as_identity(self) -> None:
        """Let the layer add nothing until it is trained."""
        for output in (self.self_merge, self.cross_merge, self.forward_out):
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)

    def look(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        before: Tensor | None = None,
    ) -> Look:
        """Cross-attention of x (B, T, width), refined by coverage.

        `before` is the coverage before each row of x (B, heads, T, N); None if the rows are steps
        that follow one another from the first on.
        """
        query = split_heads(self.cross_query(self.norm_cross(x)), self.heads)
        logits = (query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5).float() + bias
        weights = logits.softmax(dim=-1)
        covered = weights.cumsum(dim=2) if before is None else before + weights
        lower = self.coverage(covered - weights if before is None else before)
        weights = (logits - lower.float()).softmax(dim=-1)
        seen = weights.to(values.dtype) @ values
        merged = cast(Tensor, self.dropout(self.cross_merge(seen.transpose(1, 2).flatten(2))))
        return Look(x + merged, weights, covered)

    def think(self, x: Tensor) -> Tensor:
        """Add the feed-forward network's answer to x (B, T, width)."""
        hidden = functional.gelu(self.forward_in(self.norm_forward(x)))
        return x + cast(Tensor, self.dropout(self.forward_out(hidden)))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over (B, T, width), causal in T, with where it looked."""
        look = self.look(self.listen(x), keys, values, bias)
        return self.think(look.x), look.weights

    def listen(self, x: Tensor) -> Tensor:
        """Add what self-attention, causal in T, says to x (B, T, width)."""
        said = causal_attention(self.self_project(self.norm_self(x)), self.heads)
        return x + cast(Tensor, self.dropout(self.self_merge(said)))

    def recall(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """`listen` for the newest token x (B, K, width) of each of K hypotheses.

        `past`, which comes back grown, is (B, K, 2, t, width): keys and values of the t tokens
        before.
        """
        query, key, value = self.self_project(self.norm_self(x)).chunk(3, dim=-1)
        entry = torch.stack([key, value], dim=2).unsqueeze(3)
        entry = torch.cat([past, entry], dim=3)
        parts = (query.unsqueeze(2), *entry.unbind(2))
        query, key, value = (split_heads(part, self.heads) for part in parts)
        said = functional.scaled_dot_product_attention(query, key, value)
        return x + cast(Tensor, self.self_merge(said.flatten(2))), entry


class CrossMemory(NamedTuple):
    """What the layers look at: keys and values of every layer, projected once per image."""

    keys: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    values: tuple[Tensor, ...]
    """Per layer (B, heads, N, width / heads)."""
    bias: Tensor
    """(B, 1, 1, N), added to the attention logits; -inf where a cell must not be seen."""


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
        """Project a grid of cells (B, N, width) once for all layers and steps.

        Their position code is added to the keys only, `bias` (B, N) to the attention logits.
        """
        keys, values = [], []
        for layer in self._layers():
            key_weight, value_weight = layer.cross_project.weight.chunk(2)
            key_bias, value_bias = layer.cross_project.bias.chunk(2)
            key = functional.linear(content + code, key_weight, key_bias)
            value = functional.linear(content, value_weight, value_bias)
            keys.append(split_heads(key, layer.heads))
            values.append(split_heads(value, layer.heads))
        return CrossMemory(tuple(keys), tuple(values), bias[:, None, None, :])

    def forward(self, tokens: Tensor, memory: CrossMemory) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over input tokens (B, T).

        Returns:
            Logits (B, T, vocabulary), and where the last layer looked: its cross-attention
            (B, T, N), mean over heads, in fp32.
        """
        x = self._read(tokens, 0)
        for layer, keys, values in zip(self._layers(), memory.keys, memory.values, strict=True):
            x, weights = layer(x, keys, values, memory.bias)
        return cast(Tensor, self.head(self.norm(x))), weights.mean(dim=1)

    def step(
        self, tokens: Tensor, memory: CrossMemory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`.

        `past` is per layer (B, K, 2, t, width), keys and values so far; then per layer
        (B, K, heads, N), the coverage so far.
        """
        past = past or self._start(tokens, memory)
        position = past[0].shape[3]
        x = self._read(tokens.unsqueeze(-1), position).squeeze(2)
        grown, covered = [], []
        for index, layer in enumerate(self._layers()):
            x, entry = layer.recall(x, past[index])
            grown.append(entry)
            before = past[len(self.layers) + index].transpose(1, 2)
            look = layer.look(x, memory.keys[index], memory.values[index], memory.bias, before)
            covered.append(look.covered.transpose(1, 2))
            x = layer.think(look.x)
        return cast(Tensor, self.head(self.norm(x))), (*grown, *covered)

    def _start(self, tokens: Tensor, memory: CrossMemory) -> tuple[Tensor, ...]:
        """`past` of hypotheses (B, K) that hold nothing yet."""
        keys = memory.keys[0]
        caches = [keys.new_zeros(*tokens.shape, 2, 0, self.width) for _ in self.layers]
        cells = memory.bias.shape[-1]
        covered = [
            memory.bias.new_zeros(*tokens.shape, layer.heads, cells) for layer in self._layers()
        ]
        return (*caches, *covered)

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))

    def _read(self, tokens: Tensor, position: int) -> Tensor:
        """Embed tokens (..., T) that start at `position`."""
        places = torch.arange(position, position + tokens.shape[-1], device=tokens.device)
        code = sinusoid(places, self.width)
        scaled = cast(Tensor, self.embed(tokens)) * self.width**0.5
        return cast(Tensor, self.dropout(scaled + code))


def alignment_loss(attention: Tensor, places: Tensor, targets: Tensor) -> Tensor:
    """Guided attention: how little of it falls on the symbol of the token that is written.

    *Our design*, after the attention guider of "Track, Attend and Parse" (Zhang, Du and Dai, 2018,
    section IV-C), which asks a recurrent decoder for the same.

    Args:
        attention: (2B, T, M), shares of the attention over M cells, both reading directions.
        places: int64 (B, M), place in the caption of the token written in each cell.
        targets: int64 (2B, T): a caption and its stop token, padded with 0; rows from B on are
            read from its end.

    Returns:
        Mean of -log of the share on the right cells, over all tokens that have any; 0 if none.
    """
    batch, length = len(places), targets.shape[1]
    steps = torch.arange(length, device=targets.device)
    # The stop token belongs to the known targets: the last token is one step before it.
    last = (targets[:batch] != 0).sum(dim=1, keepdim=True) - 2
    written = torch.cat([steps.expand(batch, length), last - steps])
    token = (steps <= last).repeat(2, 1)
    wanted = written.unsqueeze(-1) == torch.cat([places, places]).unsqueeze(1)
    wanted &= token.unsqueeze(-1)
    share = (attention * wanted).sum(dim=-1)
    known = wanted.any(dim=-1)
    # Only of the known ones: the others' share is 0, whose logarithm has no gradient.
    return -share[known].clamp(min=1e-6).log().sum() / known.sum().clamp(min=1)
