"""An endless, resumable stream of planned batches.

Batch number k is a pure function of the seed and k: a training that was killed at step k goes on
with exactly the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from hmer.data.buckets import BatchConfig, PlannedBatch, Sizes, choose_buckets, plan_epoch

T_co = TypeVar("T_co", covariant=True)


class Maker(Protocol[T_co]):
    """Turns a planned batch into tensors; runs in loader processes, must be picklable."""

    def __call__(self, plan: Any, rng: np.random.Generator) -> T_co:
        """Make the batch; all randomness comes from `rng`. What a plan is, the stream knows."""
        ...


class Stream(Protocol):
    """Planned batches without end; number k depends on the seed and k alone."""

    @property
    def seed(self) -> int:
        """Of everything random."""
        ...

    def batches(self, start: int, number: int) -> Sequence[tuple[int, Any]]:
        """Plans of the batches `start` to `start + number - 1`, each with its index."""
        ...


@dataclass(frozen=True)
class BatchStream:
    """Planned batches without end."""

    sizes: Sizes
    config: BatchConfig
    multiple: int
    """Sides of the padded images are multiples of this (the encoder's stride)."""
    seed: int
    scale_range: tuple[float, float] = (1.0, 1.0)
    least: int = 1
    """Samples in a batch, at least, however large they are."""
    lengths: NDArray[np.int64] | None = None
    """Of the captions: batches are then made of captions of about one length."""

    @property
    def buckets(self) -> Sizes:
        """The padded shapes, by growing area; what is larger than all of them is shrunk."""
        sizes, limit = self.sizes, self.config.max_image
        if limit is not None:
            small = sizes[sizes.prod(axis=1) <= limit]
            sizes = small if len(small) else sizes[[sizes.prod(axis=1).argmin()]]
        return choose_buckets(sizes, self.config.buckets, self.multiple)

    def batches(self, start: int, number: int) -> list[tuple[int, PlannedBatch]]:
        """Batches `start` to `start + number - 1`, each with its index."""
        buckets = self.buckets
        endless = enumerate(
            plan
            for epoch in count()
            for plan in plan_epoch(
                self.sizes,
                buckets,
                self.config,
                np.random.default_rng([self.seed, epoch]),
                self.scale_range,
                self.least,
                self.lengths,
            )
        )
        return list(islice(endless, start, start + number))


class _MadeBatches(Dataset[T_co], Generic[T_co]):
    """Makes batch by batch, each from its own random generator."""

    def __init__(self, plans: Sequence[tuple[int, Any]], maker: Maker[T_co], seed: int) -> None:
        self.plans = plans
        self.maker = maker
        self.seed = seed

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, index: int) -> T_co:
        step, plan = self.plans[index]
        return self.maker(plan, np.random.default_rng([self.seed, 1, step]))


@runtime_checkable
class Chunked(Protocol):
    """A plan that shares costly work with all plans of its chunk; one process makes them all."""

    @property
    def chunk(self) -> int:
        """Which chunk; its plans follow one another, with others among them."""
        ...


_AHEAD = 8
"""Batches that a process makes ahead of the training."""


class OrderedLoader(Generic[T_co]):
    """Ready-made batches in the order of `plans`, made by `workers` processes.

    Each process has a loader of its own: PyTorch's deals the batches of one in turn, so every
    process would do the work of every chunk.
    """

    def __init__(
        self, plans: Sequence[tuple[int, Any]], maker: Maker[T_co], seed: int, workers: int
    ) -> None:
        self.plans = plans
        self.maker = maker
        self.seed = seed
        self.workers = min(workers, len(plans))

    def __len__(self) -> int:
        return len(self.plans)

    def __iter__(self) -> Iterator[T_co]:
        if not self.workers:
            yield from self._made(self.plans)
            return
        owners = share_out([plan for _, plan in self.plans], self.workers)
        shares: list[list[tuple[int, Any]]] = [[] for _ in range(self.workers)]
        for owner, plan in zip(owners, self.plans, strict=True):
            shares[owner].append(plan)
        ahead = _AHEAD
        if self.workers > 1:  # nobody waits while a whole chunk of another process is taken
            ahead = max(ahead, *(len(list(run)) for _, run in groupby(owners)))
        made = {i: iter(self._made(share, ahead)) for i, share in enumerate(shares) if share}
        for owner in owners:
            yield next(made[owner])

    def _made(self, plans: Sequence[tuple[int, Any]], ahead: int = 0) -> DataLoader[T_co]:
        """A loader with one process, or with none if nothing is made ahead."""
        return DataLoader(
            _MadeBatches(plans, self.maker, self.seed),
            batch_size=None,
            shuffle=False,
            num_workers=1 if ahead else 0,
            prefetch_factor=ahead or None,
            # Its own: every loader draws a number, and the training's must not depend on `workers`.
            generator=torch.Generator(),
        )


def share_out(plans: Sequence[Any], workers: int) -> list[int]:
    """Which of `workers` makes each plan: the one with the fewest so far, a chunk as a whole."""
    counts = [0] * workers
    chunk, home = None, 0
    owners = []
    for plan in plans:
        owner = counts.index(min(counts))
        if isinstance(plan, Chunked):
            if plan.chunk != chunk:
                chunk, home = plan.chunk, owner
            owner = home
        counts[owner] += 1
        owners.append(owner)
    return owners


def fixed_plans(
    sizes: Sizes, config: BatchConfig, multiple: int
) -> Iterator[tuple[int, PlannedBatch]]:
    """Every sample exactly once, unscaled, in a fixed order: for validation and evaluation."""
    buckets = choose_buckets(sizes, config.buckets, multiple)
    rng = np.random.default_rng(0)
    seen = np.zeros(len(sizes), dtype=bool)
    for step, plan in enumerate(plan_epoch(sizes, buckets, config, rng)):
        fresh = ~seen[plan.samples] & _first_occurrence(plan.samples)
        seen[plan.samples] = True
        if fresh.any():
            samples, scales = plan.samples[fresh], plan.scales[fresh]
            yield step, PlannedBatch(samples, scales, plan.height, plan.width)


def _first_occurrence(
    samples: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """True where a value stands for the first time."""
    first = np.zeros(len(samples), dtype=bool)
    first[np.unique(samples, return_index=True)[1]] = True
    return first
