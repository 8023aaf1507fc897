"""A PyTorch recogniser as `hmer.recognizer` uses one: arrays in, a step of the search out."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from hmer.decoding.step import Floats, Numbers
from hmer.models.base import Encoded, Recogniser
from hmer.models.linear import use_fast_linear
from hmer.models.step import MemoryStep, select


class TorchReader:
    """A recogniser in evaluation mode, a copy that shares the weights of the one given."""

    def __init__(self, model: Recogniser) -> None:
        # The caller's module stays as it is.
        shared: dict[int, object] = {id(t): t for t in (*model.parameters(), *model.buffers())}
        self.model = (copy.deepcopy(model, shared) if shared else model).eval()
        use_fast_linear(self.model)
        self.stride = self.model.stride

    @torch.inference_mode()
    def encode(self, images: Floats) -> EncodedStep:
        """Images (B, 1, H, W), ink 1 on 0, their sides multiples of the stride."""
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        encoded = self.model.encode(torch.from_numpy(images).to(device))
        return EncodedStep(self.model.step, encoded, device, self.model)


@dataclass(frozen=True, slots=True)
class EncodedStep(MemoryStep):
    """A step of the search, and what else the recogniser knows of the images."""

    model: Recogniser | None = None

    @property
    def attention(self) -> NDArray[np.float32] | None:
        """(B, h, w): the spatial attention map, where the recogniser has one."""
        found = cast(Encoded, self.memory).attention
        return None if found is None else found.float().cpu().numpy()

    @torch.inference_mode()
    def keep(self, rows: Numbers) -> EncodedStep:
        """See `Step`."""
        index = torch.from_numpy(rows).to(self.device)
        return EncodedStep(self.function, select(self.memory, index), self.device, self.model)

    @torch.inference_mode()
    def maps(self, tokens: Numbers) -> NDArray[np.float32]:
        """Where the decoder looks at each of the tokens (B, T): (B, T, h, w)."""
        assert self.model is not None
        there = torch.from_numpy(tokens).to(self.device)
        return self.model.attention_maps(there, self.memory).float().cpu().numpy()
