"""Synthetic batches among the real ones: which generators, their schedule, how they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hmer.data.batches import (
    BatchConfig,
    BatchStream,
    Maker,
    PlannedBatch,
    Sizes,
    Stream,
    batch_size,
)
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions
from hmer.data.supervised import SupervisedMaker
from hmer.ink.strokes import Ink
from hmer.synthesis.base import (
    CAPTIONS,
    HELD_OUT,
    LONGEST,
    PATIENCE,
    Leakage,
    Synthesiser,
    Written,
    read_captions,
)
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.cache import bank_of
from hmer.synthesis.grammar.fitted import MIN_TOKENS


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
    grown: float = Field(0.3, ge=0, le=1, description="progress at which it is 60")
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
        if progress >= self.grown or self.shortest >= LONGEST:
            return LONGEST
        growth: float = (LONGEST / self.shortest) ** (progress / self.grown)
        return round(self.shortest * growth)


class SynthesisConfig(GeneratorsConfig):
    """Expressions made of the training ink, and their part in the training."""

    mixing: MixingConfig = MixingConfig()

    @property
    def wanted(self) -> bool:
        """Whether any batch is written."""
        return max(self.mixing.share, self.mixing.first) > 0

    @model_validator(mode="after")
    def _something_can_be_written(self) -> Self:
        if not self.wanted:
            return self
        if not self.decompose + self.recombine + self.compose:
            raise ValueError("decompose, recombine and compose are all 0: nothing can be written")
        if not self.decompose + self.recombine and self.mixing.shortest < MIN_TOKENS:
            raise ValueError(
                f"mixing.shortest allows {self.mixing.shortest} tokens, but compose alone writes "
                f"{MIN_TOKENS} and more; raise it"
            )
        return self


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


@dataclass
class MixedMaker:
    """Makes a planned batch of real ink, or writes one."""

    real: SupervisedMaker
    synthesiser: Synthesiser
    buckets: Sizes
    """The padded shapes of the real batches, by growing area: no others are used."""
    batch: BatchConfig
    scale_range: tuple[float, float]
    seed: int
    chunk: int
    _at_hand: tuple[int, list[Written], list[PlannedBatch]] | None = None

    def __call__(self, plan: PlannedBatch | WrittenPlan, rng: np.random.Generator) -> Batch:
        """The batch; of a written one the chunk it belongs to is written first, and kept."""
        if isinstance(plan, PlannedBatch):
            return self.real(plan, rng)
        if self._at_hand is None or self._at_hand[0] != plan.chunk:
            self._at_hand = (plan.chunk, *self._write(plan))
        _, written, plans = self._at_hand
        planned = plans[plan.number]
        chosen = [(written[index].tokens, written[index].ink) for index in planned.samples.tolist()]
        return self.real.make(chosen, planned, rng)

    def _write(self, plan: WrittenPlan) -> tuple[list[Written], list[PlannedBatch]]:
        """Write until the expressions fill all batches of the chunk.

        Every expression joins the pile of its shape; a pile that is full is a batch. In the end
        begun piles are filled with repetitions, so that no shape is preferred.
        """
        rng = np.random.default_rng([self.seed, 2, plan.chunk])
        expressions: list[Written] = []
        full: list[PlannedBatch] = []
        piles: dict[int, list[tuple[int, float]]] = {}
        idle = 0
        while len(full) + len(piles) < self.chunk:
            written = self.synthesiser(rng)
            home = None
            if written is not None and len(written.tokens) <= plan.limit:
                scale = float(np.exp(rng.uniform(*np.log(self.scale_range))))
                home = self._home(written.ink, scale)
            if written is None or home is None:
                idle += 1
                if idle > PATIENCE:
                    raise RuntimeError(f"{PATIENCE} expressions in a row came to nothing")
                continue
            idle = 0
            expressions.append(written)
            pile = piles.setdefault(home, [])
            pile.append((len(expressions) - 1, scale))
            if len(pile) == batch_size(self.buckets[home], self.batch):
                full.append(self._batch(home, piles.pop(home)))
        full += [self._batch(home, piles[home]) for home in sorted(piles)]
        order = rng.permutation(len(full))
        return expressions, [full[i] for i in order]

    def _home(self, ink: Ink, scale: float) -> int | None:
        """The smallest shape that holds the ink at that scale; None if none does."""
        left, top, right, bottom = ink.bounds()
        render = self.real.render
        border = 2 * render.margin * render.unit + 1
        size = np.array([bottom - top, right - left]) * render.unit * scale + border
        fits = (self.buckets >= size).all(axis=1)
        return int(fits.argmax()) if fits.any() else None

    def _batch(self, home: int, pile: list[tuple[int, float]]) -> PlannedBatch:
        """A pile as a batch of the usual size for its shape."""
        height, width = (int(side) for side in self.buckets[home])
        chosen = np.resize(np.arange(len(pile)), batch_size(self.buckets[home], self.batch))
        samples = np.array([index for index, _ in pile], dtype=np.int64)[chosen]
        scales = np.array([scale for _, scale in pile])[chosen]
        return PlannedBatch(samples, scales, height, width)


def mixed(
    config: SynthesisConfig,
    dataset: Path,
    train: Expressions,
    stream: BatchStream,
    maker: SupervisedMaker,
    batches: int,
) -> tuple[Stream, Maker[Batch]]:
    """Stream and maker with written batches among the real ones; unchanged if none is wanted.

    `dataset` is a folder with train.parquet, loaded as `train`, and held_out.json; `batches` are
    those of the whole training.

    Raises:
        HmerError: what is held out is not said, or the ink has no symbols.
    """
    if not config.wanted:
        return stream, maker
    leakage = Leakage.read(dataset / HELD_OUT)
    captions = read_captions(dataset / CAPTIONS)
    bank = partial(bank_of, dataset / "train.parquet")
    writing = MixedMaker(
        maker,
        Generators(config, train, bank, leakage, captions),
        stream.buckets,
        stream.config,
        stream.scale_range,
        stream.seed,
        config.mixing.chunk,
    )
    return MixedStream(stream, config.mixing, batches), writing
