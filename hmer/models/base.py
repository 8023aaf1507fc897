"""Interfaces of the models: what every encoder and every recogniser offers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel
from torch import Tensor, nn

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary


class Encoder(nn.Module, ABC):
    """Images (B, 1, H, W), ink 1 on 0, to features (B, channels, H / stride, W / stride).

    H and W must be multiples of `stride` (the batches are padded so).
    """

    channels: int
    """Of the features."""
    stride: int
    """Pixels per cell."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """See the class."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a recogniser makes of images before it writes the first token."""

    memory: Any
    """Whatever `step` needs; the leading dimension of every tensor in it is the image."""
    attention: Tensor | None
    """(B, h, w): the spatial attention map, where the recogniser has one."""
    features: Tensor
    """(B, channels, h, w) from the encoder."""
    lone_symbol: Tensor | None = None
    """(B, 2, vocabulary): logits of the single symbol that each image may be, where the recogniser
    has a classifier of such (`hmer.models.common.lone_symbol`)."""


class Recogniser(nn.Module, ABC):
    """Images in, LaTeX tokens out."""

    config: BaseModel
    """What it was built from."""
    classes: int
    """Of the word head, what it can never write included."""
    stride: int
    """Pixels per cell; image sides must be multiples of it."""
    encoder: Encoder
    """Of the images."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Names of the parts that reading does not need."""

    def for_reading(self) -> Self:
        """The same recogniser, with the same weights, without what only training needs.

        Its `losses` are not defined; save this one to ship a recogniser.
        """
        found = copy.copy(self)
        found._modules = {k: v for k, v in self._modules.items() if k not in self.training_only}
        return found

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """See `nn.Module.load_state_dict`.

        Where the weights are those of a recogniser for reading, this becomes one, too; where this
        is one, weights of parts that it lacks are passed over.
        """
        for name in self.training_only:
            known = any(key.startswith(f"{name}.") for key in state_dict)
            if name in self._modules and not known:
                delattr(self, name)
            elif name not in self._modules and known:
                state_dict = {k: v for k, v in state_dict.items() if not k.startswith(f"{name}.")}
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

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


class Entry(NamedTuple):
    """One kind of recogniser, as the registry knows it."""

    config: type[BaseModel]
    build: Callable[[Any, Vocabulary], Recogniser]
    """From a `config` and a vocabulary."""
    dialect: str
    """Of the captions that the published system was trained on."""
