"""Shape buckets: few padded shapes, little padding, batches of equal cost.

A CPU compiles its convolutions anew for each tensor shape, and every accelerator likes to see the
same shapes again; so images are padded to one of a handful of shapes, chosen for the data at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

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
        lengths: of the captions, (n,): batches are then made of captions of about one length, so
            that a decoder has little padding to work on.
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
