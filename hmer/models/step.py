"""A PyTorch model as a step of the search, and how rows of its caches are chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from hmer.decoding.step import Floats, Numbers, in_place, log_softmax

Caches = tuple[Any, ...]
"""Tensors whose first two sides are inputs and hypotheses, or any `SharedCache`."""
Tree = TypeVar("Tree")


@runtime_checkable
class SharedCache(Protocol):
    """A cache that hypotheses share, and that knows how others are chosen."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Inputs, hypotheses, and whatever else."""
        ...

    def reorder(self, inputs: Tensor, origin: Tensor) -> SharedCache:
        """See `reorder`."""
        ...


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
    def keep(self, rows: Numbers) -> MemoryStep:
        """See `Step`."""
        index = torch.from_numpy(rows).to(self.device)
        return MemoryStep(self.function, select(self.memory, index), self.device)


def select(tree: Tree, rows: Tensor) -> Tree:
    """Rows of every tensor in a tree of tuples, lists, dictionaries and dataclasses.

    Args:
        tree: what is neither of these nor a tensor stays as it is.
        rows: int64 (B',), into the leading dimension.
    """
    found: Any = tree
    if isinstance(tree, Tensor):
        found = tree.index_select(0, rows)
    elif isinstance(tree, dict):
        found = {key: select(value, rows) for key, value in tree.items()}
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        found = type(tree)(*(select(value, rows) for value in tree))
    elif isinstance(tree, tuple | list):
        found = type(tree)(select(value, rows) for value in tree)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        values = {f.name: getattr(tree, f.name) for f in dataclasses.fields(tree) if f.init}
        found = dataclasses.replace(tree, **{k: select(v, rows) for k, v in values.items()})
    return cast(Tree, found)


def reorder(past: Caches, inputs: Tensor, origin: Tensor) -> Caches:
    """Caches of other hypotheses, and of fewer inputs.

    Args:
        past: each (B, K, ...), or shared.
        inputs: int64 (B',), which inputs stay.
        origin: int64 (B', K'), which of its input's hypotheses each new one continues.

    Returns:
        Each (B', K', ...), or shared.
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
