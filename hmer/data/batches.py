"""Shape buckets and batch streams: few padded shapes, little padding, batches of equal cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hmer.data.collate import stack
from hmer.ink.canvas import PAPER

Sizes = NDArray[np.int64]
"""Heights and widths in pixels, shape (n, 2)."""


class BatchConfig(BaseModel):
    """How samples are gathered into batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(400_000, ge=1024, description="padded pixels in a batch, at most")
    max_count: int = Field(64, ge=1, le=4096, description="samples in a batch, at most")
    buckets: int = Field(8, ge=1, le=64, description="padded shapes, at most")
    max_image: int | None = Field(
        None,
        ge=1024,
        description="pixels of an image; training shrinks larger ones. None: no limit",
    )


LENGTH_NOISE = 0.1
"""Standard deviation of the logarithm by which lengths are blurred before batches are cut."""


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Samples that are padded to one shape; repeats fill the last batch of a bucket."""

    samples: NDArray[np.int64]
    """Indices into the data set."""
    scales: NDArray[np.float64]
    """Size augmentation of each sample: pixels are multiplied by it."""
    height: int
    width: int


def choose_buckets(sizes: Sizes, limit: int, multiple: int) -> Sizes:
    """At most `limit` shapes (h, w), multiples of `multiple`, that hold all `sizes`.

    Starts from the shapes that occur and merges, again and again, the two whose union adds the
    least padding. Returned by growing area.
    """
    if not len(sizes):
        raise ValueError("no sizes to choose buckets for")
    # Steps of about a fifth: finer shapes would only be merged again.
    steps = np.unique((1.2 ** np.arange(1, 64)).astype(np.int64))
    rounded = steps[np.searchsorted(steps, -(-sizes // multiple))] * multiple
    shapes, counts = np.unique(rounded, axis=0, return_counts=True)
    while len(shapes) > limit:
        union = np.maximum(shapes[:, None], shapes[None])
        padded = union.prod(axis=2) * (counts[:, None] + counts[None])
        own = shapes.prod(axis=1) * counts
        added = (padded - own[:, None] - own[None]).astype(np.float64)
        added[np.diag_indices(len(shapes))] = np.inf
        first, second = divmod(int(added.argmin()), len(shapes))
        shapes[first] = union[first, second]
        counts[first] += counts[second]
        shapes = np.delete(shapes, second, axis=0)
        counts = np.delete(counts, second)
    return shapes[np.lexsort((shapes[:, 1], shapes.prod(axis=1)))]


def batch_size(shape: NDArray[np.int64], config: BatchConfig, least: int = 1) -> int:
    """Samples of one bucket that fit a batch; `least` if fewer would."""
    fitting = int(config.max_pixels // shape.prod())
    return max(least, min(config.max_count, fitting))


def plan_epoch(
    sizes: Sizes,
    buckets: Sizes,
    config: BatchConfig,
    rng: np.random.Generator,
    scale_range: tuple[float, float] = (1.0, 1.0),
    least: int = 1,
    lengths: NDArray[np.int64] | None = None,
) -> Iterator[PlannedBatch]:
    """Every sample once, in batches of a fixed size per bucket and in random order.

    What is left over in a bucket goes to the next larger one that holds it; only where there is
    none the last batch is filled with repeats, drawn at random.

    Args:
        sizes: of the samples at scale 1.
        buckets: from `choose_buckets`.
        config: limits.
        rng: decides scales and order.
        scale_range: sizes are multiplied by a factor drawn log-uniformly from it; a sample that
            then fits no bucket is shrunk to the largest one.
        least: samples in a batch, at least, however large they are.
        lengths: of the captions, (n,): batches are then made of captions of about one length.
    """
    low, high = np.log(scale_range)
    scales = np.exp(rng.uniform(low, high, len(sizes)))
    largest = buckets.max(axis=0)
    scales = np.minimum(scales, (largest / sizes).min(axis=1))
    scaled = np.ceil(sizes * scales[:, None] - 1e-6)
    fits = (buckets[None] >= scaled[:, None]).all(axis=2)
    # The bucket of the largest height need not be the one of the largest width.
    nowhere = ~fits.any(axis=1)
    if nowhere.any():
        best = (buckets[None] / sizes[nowhere, None]).min(axis=2).max(axis=1)
        scales[nowhere] = np.minimum(scales[nowhere], best)
        scaled[nowhere] = np.ceil(sizes[nowhere] * scales[nowhere, None] - 1e-6)
        fits[nowhere] = (buckets[None] >= scaled[nowhere, None]).all(axis=2)
    home = fits.argmax(axis=1)

    planned = []
    for index, shape in enumerate(buckets):
        members = rng.permutation(np.flatnonzero(home == index))
        count = batch_size(shape, config, least)
        larger = np.flatnonzero((buckets[index + 1 :] >= shape).all(axis=1))
        if rest := len(members) % count:
            if len(larger):
                home[members[:rest]] = index + 1 + larger[0]
                members = members[rest:]
            else:
                others = np.setdiff1d(members, members[:rest])
                pool = rng.permutation(others if len(others) else members)
                members = np.concatenate([members, np.resize(pool, count - rest)])
        if not len(members):
            continue
        if lengths is not None:
            # Not strictly sorted: who is in a batch with whom changes from epoch to epoch.
            noise = np.exp(rng.normal(0.0, LENGTH_NOISE, len(members)))
            members = members[np.argsort(lengths[members] * noise, kind="stable")]
        planned += [
            PlannedBatch(part, scales[part], int(shape[0]), int(shape[1]))
            for part in members.reshape(-1, count)
        ]
    yield from (planned[i] for i in rng.permutation(len(planned)))


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
    """Which of `workers` makes each plan: the one with the fewest so far, a chunk as a whole.

    Plans with a `chunk` share costly work; they follow one another, with others among them.
    """
    counts = [0] * workers
    chunk, home = None, 0
    owners = []
    for plan in plans:
        owner = counts.index(min(counts))
        if (own := getattr(plan, "chunk", None)) is not None:
            if own != chunk:
                chunk, home = own, owner
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
        fresh = np.zeros(len(plan.samples), dtype=bool)
        fresh[np.unique(plan.samples, return_index=True)[1]] = True
        fresh &= ~seen[plan.samples]
        seen[plan.samples] = True
        if fresh.any():
            samples, scales = plan.samples[fresh], plan.scales[fresh]
            yield step, PlannedBatch(samples, scales, plan.height, plan.width)


def in_batches(
    images: Sequence[NDArray[np.uint8]], stride: int, config: BatchConfig
) -> Iterator[tuple[list[int], Tensor]]:
    """The pictures in padded batches of similar size: their numbers, and float (B, 1, H, W).

    There is as much blank paper around them as when they are read (`hmer.ink.canvas.PAPER`).
    """
    if not images:
        return
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    paper = -(-PAPER // stride) * stride
    for _, plan in fixed_plans(sizes, config, stride):
        numbers = plan.samples.tolist()
        shape = (plan.height + paper, plan.width + paper)
        yield numbers, stack([images[number] for number in numbers], *shape)
