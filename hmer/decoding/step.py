"""The step function that all searches call, and how rows of its caches are chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor

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


class Step(Protocol):
    """Continues K hypotheses of each of B inputs by one token."""

    def __call__(self, tokens: Tensor, past: Caches) -> tuple[Tensor, Caches]:
        """Tokens (B, K) and caches to logits (B, K, V) and the grown caches."""
        ...


@runtime_checkable
class ShrinkableStep(Step, Protocol):
    """A step whose inputs may leave the batch when they are done."""

    def keep(self, rows: Tensor) -> ShrinkableStep:
        """The step for the inputs `rows`, int64 (B',), only."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """A model's step with the memory of its inputs, whose rows can be chosen."""

    function: Callable[[Tensor, Any, Caches], tuple[Tensor, Caches]]
    """Tokens, memory and caches to logits and grown caches."""
    memory: Any
    """A tree of tensors; the leading dimension of each is the input."""

    def __call__(self, tokens: Tensor, past: Caches) -> tuple[Tensor, Caches]:
        """See `Step`."""
        return self.function(tokens, self.memory, past)

    def keep(self, rows: Tensor) -> MemoryStep:
        """See `ShrinkableStep`."""
        return MemoryStep(self.function, select(self.memory, rows))


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
        Each (B', K', ...), or shared; the same where nothing moves.
    """
    if not past:
        return past
    before, width = past[0].shape[:2]
    flat = (inputs.unsqueeze(1) * width + origin).flatten()
    if len(flat) == before * width and torch.equal(flat, torch.arange(len(flat)).to(flat)):
        return past
    # Whole rows are copied; `gather` would look up an index for every number.
    return tuple(
        cache.flatten(0, 1).index_select(0, flat).view(*origin.shape, *cache.shape[2:])
        if isinstance(cache, Tensor)
        else cache.reorder(inputs, origin)
        for cache in past
    )
