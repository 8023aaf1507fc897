"""What every recogniser offers, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from hmer.models.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their captions, padded to one shape.

    Both reading directions are rows of the same batch: rows 0 to B - 1 read from left to right,
    rows B to 2B - 1 from right to left.
    """

    images: Tensor
    """float (B, 1, H, W): ink 1, paper and padding 0."""
    inputs: Tensor
    """int64 (2B, T): start token, then the caption; 0 is padding."""
    targets: Tensor
    """int64 (2B, T): the caption, then the stop token; 0 is padding."""
    symbols: Tensor
    """int64 (B, h, w): token id of the symbol written in each cell; -100 where unknown."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            *(x.to(device) for x in (self.images, self.inputs, self.targets, self.symbols))
        )


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a recogniser makes of images before it writes the first token."""

    memory: Any
    """Whatever `step` needs; the leading dimension of every tensor in it is the image."""
    attention: Tensor | None
    """(B, h, w): the spatial attention map, where the recogniser has one."""
    features: Tensor
    """(B, channels, h, w) from the encoder."""


class Recogniser(nn.Module, ABC):
    """Images in, LaTeX tokens out."""

    config: BaseModel
    """What it was built from."""
    classes: int
    """Of the word head, what it can never write included."""
    stride: int
    """Pixels per cell; image sides must be multiples of it."""
    encoder: Encoder
    """Of the images; held still at the beginning of a training that asks for it."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Names of the parts that reading does not need."""

    @abstractmethod
    def encode(self, images: Tensor) -> Encoded:
        """Read images, float (B, 1, H, W), ink 1 on 0."""

    @abstractmethod
    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """Teacher-forced losses by name (scalars) and the word logits (2B, T, vocabulary)."""

    @abstractmethod
    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Continue K hypotheses of each of B images by one token.

        Args:
            tokens: int64 (B, K), the newest token of every hypothesis.
            encoded: from `encode`, of the B images.
            past: caches of the tokens before, each (B, K, ...); () at the start.

        Returns:
            Logits (B, K, vocabulary) and the caches, now including `tokens`.
        """

    @abstractmethod
    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """Where the decoder looks when it writes each token: (B, T, h, w) for inputs (B, T)."""
