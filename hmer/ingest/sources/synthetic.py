"""Synthesised handwriting: expressions from a grammar, written by hands drawn from seeds.

Items are walked as small recipes (the structure tree and a writer's number); the ink is made where
the recipe is called, in a worker process. A training item depends on (seed, index) and the
configuration's grammar and hands only, so it stays the same when the counts grow. Validation and
test hands are unseen in training, and so are their expressions (by caption).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pydantic import Field, PrivateAttr

from hmer.errors import HmerError
from hmer.ingest.sources.base import Source, SourceItem
from hmer.latex.tree import Row, serialise
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.layout import write

TEST_SPLIT = "test-synthetic"
_SPLITS = ("train", "val", TEST_SPLIT)
_WRITERS_APART = 1_000_000  # more than the writers of any split
_ATTEMPTS = 500


class Synthetic(Source):
    """How much to synthesise, by how many hands, and which expressions."""

    name = "synthetic"

    train: int = Field(default=8000, ge=0, description="training expressions")
    val: int = Field(default=500, ge=0, description="validation expressions")
    test: int = Field(default=500, ge=0, description="test expressions")
    train_writers: int = Field(default=200, ge=1, lt=_WRITERS_APART)
    val_writers: int = Field(default=25, ge=1, lt=_WRITERS_APART)
    test_writers: int = Field(default=25, ge=1, lt=_WRITERS_APART)
    grammar: GrammarConfig = GrammarConfig()

    _excluded: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of items."""
        return self.train + self.val + self.test

    @property
    def excluded(self) -> dict[str, int]:
        """After a walk, by split: sampled expressions that were thrown away because a training
        item, or an earlier held-out one, has the same caption."""
        return self._excluded

    def items(self, seed: int) -> Iterator[SyntheticTask]:
        """Recipes of train, val and test, in this order.

        Raises:
            HmerError: the grammar is too narrow for held-out expressions unseen in training.
        """
        grammar = Grammar(self.grammar)
        seen: set[str] = set()
        self._excluded = dict.fromkeys(_SPLITS[1:], 0)
        counts = (self.train, self.val, self.test)
        writers = (self.train_writers, self.val_writers, self.test_writers)
        for part, (split, count, hands) in enumerate(zip(_SPLITS, counts, writers, strict=True)):
            for index in range(count):
                rng = np.random.default_rng([seed, 1, part, index])
                row = self._row(grammar, split, rng, seen)
                hand = part * _WRITERS_APART + int(rng.integers(hands))
                yield SyntheticTask(seed, split, index, hand, row)

    def _row(self, grammar: Grammar, split: str, rng: np.random.Generator, seen: set[str]) -> Row:
        for _ in range(_ATTEMPTS):
            row = grammar.sample(rng)
            caption = " ".join(serialise(row))
            if split == "train" or caption not in seen:
                seen.add(caption)
                return row
            self._excluded[split] += 1
        raise HmerError(
            f"synthetic source: {_ATTEMPTS} expressions for {split!r} are all in use already; "
            "raise grammar.max_tokens or lower the counts"
        )


@lru_cache(maxsize=512)
def _writer(seed: int, number: int) -> Writer:
    """The hand with this number; cached in each process, its glyphs are worth keeping."""
    return Writer.draw(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


@dataclass(frozen=True, slots=True)
class SyntheticTask:
    """Recipe of one item: picklable, and the same item wherever it is called."""

    seed: int
    split: str
    index: int
    writer: int
    row: Row

    @property
    def key(self) -> str:
        """The item's id."""
        return f"synthetic-{self.split}-{self.index:07d}"

    def __call__(self) -> SourceItem:
        """Write the expression.

        The ink goes through the same normalisation as ink from a tablet, so that the scale a model
        is trained on is the scale it meets when it reads.
        """
        tokens = tuple(serialise(self.row))
        rng = np.random.default_rng([self.seed, 2, _SPLITS.index(self.split), self.index])
        return SourceItem(
            id=self.key,
            source="synthetic",
            writer=f"hand-{self.writer:07d}",
            latex=" ".join(tokens),
            tokens=tokens,
            split=self.split,
            ink=write(self.row, _writer(self.seed, self.writer), rng),
        )
