"""A PyTorch recogniser for `hmer.recognizer`: arrays in, a step of the search and caches out."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.decoding.step import Floats, Numbers, in_place, log_softmax
from hmer.models.base import Encoded, Recogniser
from hmer.models.linear import use_fast_linear

Caches = tuple[Any, ...]
"""Tensors whose first two sides are inputs and hypotheses, or a `History`, which they share."""
Tree = TypeVar("Tree")


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """A `hmer.decoding.step.Step` of a PyTorch model, with the memory of its inputs."""

    function: Callable[[Tensor, Any, Caches], tuple[Tensor, Caches]]
    """Tokens, memory and caches, () at the start, to logits and grown caches."""
    memory: Any
    """A tree of tensors; the leading dimension of each is the input."""
    device: torch.device | None = None
    """Where the model is."""

    @torch.inference_mode()
    def __call__(self, tokens: Numbers, past: Caches | None) -> tuple[Floats, Caches]:
        """See `Step`."""
        there = torch.from_numpy(np.ascontiguousarray(tokens)).to(self.device)
        logits, past = self.function(there, self.memory, past or ())
        return log_softmax(logits.float().cpu().numpy()), past

    @torch.inference_mode()
    def reorder(self, past: Caches, inputs: Numbers, origin: Numbers) -> Caches:
        """See `Step`."""
        if not past or in_place(inputs, origin, *past[0].shape[:2]):
            return past
        return reorder(past, *(torch.from_numpy(x).to(self.device) for x in (inputs, origin)))

    @torch.inference_mode()
    def keep(self, rows: Numbers) -> Self:
        """See `Step`."""
        index = torch.from_numpy(rows).to(self.device)
        return dataclasses.replace(self, memory=select(self.memory, index))


def select(tree: Tree, rows: Tensor) -> Tree:
    """Rows of every tensor in a tree of tuples and dataclasses.

    Args:
        tree: what is neither of these nor a tensor stays as it is.
        rows: int64 (B',), into the leading dimension.
    """
    found: Any = tree
    if isinstance(tree, Tensor):
        found = tree.index_select(0, rows)
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        found = type(tree)(*(select(value, rows) for value in tree))
    elif isinstance(tree, tuple):
        found = type(tree)(select(value, rows) for value in tree)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        values = {f.name: getattr(tree, f.name) for f in dataclasses.fields(tree) if f.init}
        found = dataclasses.replace(tree, **{k: select(v, rows) for k, v in values.items()})
    return cast(Tree, found)


def reorder(past: Caches, inputs: Tensor, origin: Tensor) -> Caches:
    """Caches, each (B, K, ...) or shared, of other hypotheses, and of fewer inputs: (B', K', ...).

    `inputs` (B',): which inputs stay; `origin` (B', K'): which of its input's hypotheses each new
    one continues.
    """
    width = past[0].shape[1]
    flat = (inputs.unsqueeze(1) * width + origin).flatten()
    # Whole rows are copied; `gather` would look up an index for every number.
    return tuple(
        cache.flatten(0, 1).index_select(0, flat).view(*origin.shape, *cache.shape[2:])
        if isinstance(cache, Tensor)
        else cache.reorder(inputs, origin)
        for cache in past
    )


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

    @property
    def lone_symbol(self) -> Floats | None:
        """See `Encoded`."""
        found = cast(Encoded, self.memory).lone_symbol
        return None if found is None else found.float().cpu().numpy()

    @torch.inference_mode()
    def maps(self, tokens: Numbers) -> NDArray[np.float32]:
        """Where the decoder looks at each of the tokens (B, T): (B, T, h, w)."""
        assert self.model is not None
        there = torch.from_numpy(tokens).to(self.device)
        return self.model.attention_maps(there, self.memory).float().cpu().numpy()
