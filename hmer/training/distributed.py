"""Several processes that train one model: who does what, and how they agree.

A step averages `batches` planned batches (`OptimisationConfig`). One process works through all of
them; of several, process r takes number r, r + n, r + 2n ... of each step and the gradients are
averaged. So the number of processes does not change the training: the same batches make the same
step, but for the order of a sum. (What does differ is the running statistics of batch
normalisation: they follow the batches of the first process only.) Batches stay whole on one
process because a contrastive loss needs all of its batch for negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def gathered(value: T) -> list[T]:
    """What each process has, in the order of ranks, on all of them."""
    if not _many():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]  # every place has been filled


def from_first(act: Callable[[], T]) -> T:
    """The result of `act` in the first process, on all of them; the others wait for it."""
    if not _many():
        return act()
    box: list[T | None] = [act() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]  # broadcast by the first


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
