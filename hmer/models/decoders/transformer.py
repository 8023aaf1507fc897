"""A transformer decoder that can be run all at once (training) or step by step (decoding)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.decoders.layer import DecoderConfig, DecoderLayer
from hmer.models.positions import sinusoid


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
            past: per layer (B, K, 2, t, width), keys and values so far; then, with coverage, per
                layer (B, K, heads, N), the coverage so far; () at the start.

        Returns:
            Logits (B, K, vocabulary) and the new `past`.
        """
        past = past or self._start(tokens, memory)
        position = past[0].shape[3]
        x = self._read(tokens.unsqueeze(-1), position).squeeze(2)
        grown, covered = [], []
        for index, layer in enumerate(self._layers()):
            x, entry = layer.recall(x, past[index])
            grown.append(entry)
            here = memory.keys[index], memory.values[index], memory.bias
            if layer.coverage is None:
                x = layer.look(x, *here)
            else:
                look = layer.look_openly(x, *here, past[len(self.layers) + index].transpose(1, 2))
                x = look.x
                covered.append(look.covered.transpose(1, 2))
            x = layer.think(x)
        return cast(Tensor, self.head(self.norm(x))), (*grown, *covered)

    def _start(self, tokens: Tensor, memory: CrossMemory) -> tuple[Tensor, ...]:
        """`past` of hypotheses (B, K) that hold nothing yet."""
        keys = memory.keys[0]
        caches = [keys.new_zeros(*tokens.shape, 2, 0, self.width) for _ in self.layers]
        cells = memory.bias.shape[-1]
        covered = [
            memory.bias.new_zeros(*tokens.shape, layer.heads, cells)
            for layer in self._layers()
            if layer.coverage is not None
        ]
        return (*caches, *covered)

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
        look = layer.look_openly(layer.listen(x), keys, values, memory.bias)
        return cast(Tensor, self.head(self.norm(layer.think(look.x)))), look.weights.mean(dim=1)

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
