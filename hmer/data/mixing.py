"""Written expressions among the real ones: which batches, when, and how long they may be.

The share of written batches falls to nothing before the end: the last steps see real ink only.
At first only short expressions are written: symbols are learned before structure, which is the
cheapest curriculum there is (measured: it breaks the early plateau).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.buckets import PlannedBatch
from hmer.data.stream import BatchStream


class MixingConfig(BaseModel):
    """How much of a training is written by the synthesiser, over its progress from 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.0, ge=0, le=1, description="share of written batches, until `falls`")
    first: float = Field(0.0, ge=0, le=1, description="the share at the very beginning")
    settles: float = Field(0.1, ge=0, le=1, description="progress at which `share` is reached")
    falls: float = Field(0.5, ge=0, le=1, description="progress from which on the share falls")
    ends: float = Field(0.75, ge=0, le=1, description="progress from which on all ink is real")
    shortest: int = Field(
        6, ge=1, description="tokens of a written expression at the very beginning, at most"
    )
    longest: int = Field(60, ge=1, description="tokens of a written expression, ever")
    grown: float = Field(0.3, ge=0, le=1, description="progress at which `longest` is reached")
    chunk: int = Field(24, ge=1, le=4096, description="written batches that are planned together")

    def at(self, progress: float) -> float:
        """Share of written batches at `progress`."""
        if not max(self.share, self.first) or progress >= self.ends:
            return 0.0
        if progress < self.settles:
            return self.first + (self.share - self.first) * progress / self.settles
        if progress <= self.falls:
            return self.share
        return self.share * (self.ends - progress) / (self.ends - self.falls)

    def limit(self, progress: float) -> int:
        """Tokens of a written expression at `progress`, at most; grows geometrically."""
        if progress >= self.grown or self.longest <= self.shortest:
            return self.longest
        growth: float = (self.longest / self.shortest) ** (progress / self.grown)
        return round(self.shortest * growth)


@dataclass(frozen=True, slots=True)
class WrittenPlan:
    """Batch `number` (of `chunk`) among the written batches; the maker plans it in full."""

    chunk: int
    number: int
    limit: int
    """Tokens of an expression at most: the same for the whole chunk."""


@dataclass(frozen=True)
class MixedStream:
    """A stream of real batches with written ones among them.

    Which steps are written depends on the configuration and the number of steps alone, and real
    batches come in the order in which they would come without the written ones.
    """

    real: BatchStream
    config: MixingConfig
    steps: int
    """Of the whole training."""

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.real.seed

    def batches(self, start: int, number: int) -> list[tuple[int, PlannedBatch | WrittenPlan]]:
        """Batches `start` to `start + number - 1`, each with its index."""
        written = self._written()
        before = int(written[:start].sum())
        window = written[start : start + number]
        real = iter(self.real.batches(start - before, int((~window).sum())))
        plans = self._written_plans(before, written)
        return [
            (step, next(plans) if is_written else next(real)[1])
            for step, is_written in enumerate(window, start)
        ]

    def _written(self) -> NDArray[np.bool_]:
        """Whether each step of the training is a written one: spread as evenly as may be."""
        shares = [self.config.at(step / self.steps) for step in range(self.steps)]
        whole = np.floor(np.cumsum(shares) + 1e-9).astype(np.int64)
        return np.diff(whole, prepend=0) > 0

    def _written_plans(self, first: int, written: NDArray[np.bool_]) -> Iterator[WrittenPlan]:
        """Plans of the written batches from number `first` on."""
        at = np.flatnonzero(written)
        for ordinal in islice(range(len(at)), first, None):
            chunk, number = divmod(ordinal, self.config.chunk)
            begun = int(at[chunk * self.config.chunk])
            yield WrittenPlan(chunk, number, self.config.limit(begun / self.steps))
