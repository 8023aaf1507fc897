"""Which batches of a training are written ones, and by which generators."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hmer.data.batches import BatchConfig, BatchStream, OrderedLoader, PlannedBatch, batch_size
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.supervised import SupervisedMaker
from hmer.data.synthetic_batches import (
    MixedMaker,
    MixedStream,
    MixingConfig,
    SynthesisConfig,
    WrittenPlan,
    mixed,
)
from hmer.errors import HmerError
from hmer.ink.augment import AugmentConfig
from hmer.ink.codec import pack
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import HELD_OUT, SHORT, Leakage, Written

SIZES = np.random.default_rng(0).integers(10, 300, (23, 2))
REAL = BatchStream(SIZES, BatchConfig(max_pixels=40_000, max_count=4, buckets=3), 8, 5, (0.8, 1.2))
MIXING = MixingConfig(
    share=0.5, first=1.0, settles=0.1, falls=0.5, ends=0.75, shortest=4,
    grown=0.4, chunk=3,
)  # fmt: skip


def stream(config: MixingConfig = MIXING, steps: int = 200) -> MixedStream:
    return MixedStream(REAL, config, steps)


def plain(plans: list[tuple[int, PlannedBatch | WrittenPlan]]) -> list[object]:
    return [
        (step, plan if isinstance(plan, WrittenPlan) else (plan.samples.tolist(), plan.height))
        for step, plan in plans
    ]


@pytest.mark.parametrize(
    ("progress", "share"),
    [(0, 1), (0.05, 0.75), (0.1, 0.5), (0.5, 0.5), (0.625, 0.25), (0.75, 0), (1, 0)],
)
def test_the_share_by_hand(progress: float, share: float) -> None:
    assert MIXING.at(progress) == pytest.approx(share)


@pytest.mark.parametrize(("progress", "limit"), [(0, 4), (0.2, 15), (0.4, 60), (0.9, 60)])
def test_the_limit_by_hand(progress: float, limit: int) -> None:
    assert MIXING.limit(progress) == limit


def test_the_area_under_the_share_is_written() -> None:
    plans = stream().batches(0, 200)
    written = [step for step, plan in plans if isinstance(plan, WrittenPlan)]
    # 0.1 x 0.75 + 0.4 x 0.5 + 0.25 x 0.25 of 200 steps.
    assert len(written) == pytest.approx(67.5, abs=1.5)
    assert max(written) < 150


def test_real_batches_keep_their_order() -> None:
    real = [plan for _, plan in stream().batches(0, 200) if isinstance(plan, PlannedBatch)]
    alone = [plan for _, plan in REAL.batches(0, len(real))]
    assert [p.samples.tolist() for p in real] == [p.samples.tolist() for p in alone]


@given(st.integers(0, 199), st.integers(0, 60))
def test_any_piece_of_it_is_a_slice(start: int, number: int) -> None:
    number = min(number, 200 - start)
    whole = plain(stream().batches(0, 200))
    assert plain(stream().batches(start, number)) == whole[start : start + number]


def test_a_chunk_has_one_limit_and_numbers_in_order() -> None:
    plans = [plan for _, plan in stream().batches(0, 200) if isinstance(plan, WrittenPlan)]
    assert [(p.chunk, p.number) for p in plans] == [divmod(i, 3) for i in range(len(plans))]
    for chunk in {plan.chunk for plan in plans}:
        assert len({plan.limit for plan in plans if plan.chunk == chunk}) == 1
    limits = [plan.limit for plan in plans]
    assert limits == sorted(limits)
    assert limits[0] == 4
    assert limits[-1] == 60


def test_without_a_share_nothing_is_written() -> None:
    plans = stream(MixingConfig()).batches(0, 50)
    assert plain(plans) == plain(list(REAL.batches(0, 50)))


WORDS = vocabulary("wap")
RENDER = RenderConfig(unit=16, pen=0.1, margin=0.25)
BUCKETS = np.array([[32, 64], [32, 160]])
CONFIG = BatchConfig(max_pixels=20_480, max_count=64, buckets=2)
RNG = np.random.default_rng(0)


class Rows:
    """One to twelve crosses in a row; every fifth draw makes nothing."""

    def __call__(self, rng: np.random.Generator) -> Written | None:
        if rng.random() < 0.2:
            return None
        count = int(rng.integers(1, 13))
        strokes = [np.array([[i, 0], [i + 0.6, 1]], np.float32) for i in range(count)]
        symbols = tuple(Symbol("x", (i,), i) for i in range(count))
        return Written(Ink(tuple(strokes), symbols), ["x"] * count, "rows")


class Counted(Rows):
    """The same, and a byte in a file for every draw in whichever process."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, rng: np.random.Generator) -> Written | None:
        with self.log.open("ab") as log:
            log.write(b".")
        return super().__call__(rng)


class Nothing:
    """Never makes anything."""

    def __call__(self, rng: np.random.Generator) -> Written | None:
        return None


def maker(synthesiser: Rows | Nothing | None = None, chunk: int = 4) -> MixedMaker:
    ink = Ink((np.array([[0, 0], [1, 1]], np.float32),), (Symbol("1", (0,)),))
    real = Expressions(["a"], [["1"]], [b""], [pack(ink)], np.array([[24, 24]]))
    supervised = SupervisedMaker(real, WORDS, RENDER, AugmentConfig(scale=1), 8)
    return MixedMaker(supervised, synthesiser or Rows(), BUCKETS, CONFIG, (0.9, 1.1), 7, chunk)


def captions(batch: Batch) -> list[list[str]]:
    half = batch.targets[: len(batch.images)]
    return [WORDS.decode([int(i) for i in row if i > 2]) for row in half]


def test_a_real_plan_makes_a_real_batch() -> None:
    batch = maker()(PlannedBatch(np.zeros(2, int), np.ones(2), 32, 64), RNG)
    assert captions(batch) == [["1"], ["1"]]


def test_written_batches_have_the_shapes_and_sizes_of_real_ones() -> None:
    made = maker()
    for number in range(4):
        batch = made(WrittenPlan(0, number, 60), np.random.default_rng(number))
        shape = np.array(batch.images.shape[2:])
        assert shape.tolist() in BUCKETS.tolist()
        assert len(batch.images) == batch_size(shape, CONFIG)
        assert all(set(caption) == {"x"} for caption in captions(batch))
        assert batch.images.flatten(1).sum(1).min() > 0
        (x,) = WORDS.encode(["x"])
        assert set(batch.symbols.flatten().tolist()) == {-100, x}


def test_what_fits_nowhere_or_is_too_long_is_not_written() -> None:
    made = maker()
    for number in range(4):
        batch = made(WrittenPlan(1, number, 5), RNG)
        assert max(map(len, captions(batch))) <= 5
        # Twelve symbols are wider than the widest shape at any scale.
    longest = max(
        len(caption)
        for number in range(4)
        for caption in captions(made(WrittenPlan(2, number, 60), RNG))
    )
    assert 5 < longest <= 10


def test_a_batch_is_a_function_of_its_plan() -> None:
    """Also in another process, and whichever chunk was made before."""
    first, second = maker(), pickle.loads(pickle.dumps(maker()))
    first(WrittenPlan(8, 0, 60), RNG)
    a = first(WrittenPlan(3, 2, 60), np.random.default_rng(1))
    b = second(WrittenPlan(3, 2, 60), np.random.default_rng(1))
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.targets, b.targets)
    c = first(WrittenPlan(4, 2, 60), np.random.default_rng(1))
    assert captions(a) != captions(c) or not torch.equal(a.images, c.images)


def test_a_synthesiser_that_writes_nothing_is_told() -> None:
    with pytest.raises(RuntimeError, match="came to nothing"):
        maker(Nothing())(WrittenPlan(0, 0, 60), RNG)


@pytest.mark.medium
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_processes_share_the_writing(tmp_path: Path, share: float) -> None:
    """However many there are: as many expressions are written, and the same batches made."""
    mixing = MixingConfig(share=share, first=share, falls=1, ends=1, chunk=4)
    real = BatchStream(np.array([[24, 24]]), CONFIG, 8, 7)
    stream = MixedStream(real, mixing, 20)

    def made(plans: Sequence[tuple[int, object]], workers: int) -> tuple[list[Batch], int]:
        log = tmp_path / "draws"
        log.write_bytes(b"")
        batches = list(OrderedLoader(plans, maker(Counted(log)), stream.seed, workers))
        return batches, log.stat().st_size

    alone, draws = made(stream.batches(0, 20), 0)
    assert draws > 20 * share
    for workers in (1, 3):
        batches, count = made(stream.batches(0, 20), workers)
        assert count == draws
        assert_same(batches, alone)
    # A training that goes on inside a chunk writes that chunk again, and makes the same batches.
    assert_same(made(stream.batches(7, 13), 2)[0], alone[7:])


def assert_same(found: list[Batch], wanted: list[Batch]) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.symbols, b.symbols)


DRAWN_AT = RenderConfig()
HALF = MixingConfig(share=0.5, settles=0.0, falls=0.8, ends=1.0, shortest=60, chunk=3)
ALL = SynthesisConfig(mixing=HALF, decompose=1, recombine=1, compose=1)


@pytest.mark.medium
def test_every_generator_has_its_say(small_dataset: Path) -> None:
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(), 8, 4)
    drawn = SupervisedMaker(train, WORDS, DRAWN_AT, None, 8)
    _, maker = mixed(ALL, small_dataset, train, real, drawn, 12)
    assert isinstance(maker, MixedMaker)
    rng = np.random.default_rng(0)
    kinds = Counter(w.kind for w in (maker.synthesiser(rng) for _ in range(60)) if w)
    assert set(kinds) == {"decompose", "recombine", "compose"}
    assert min(kinds.values()) >= 5


@pytest.mark.medium
def test_batches_are_mixed_and_the_same_again(small_dataset: Path) -> None:
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(max_pixels=60_000, buckets=3), 8, 4)
    drawn = SupervisedMaker(train, WORDS, DRAWN_AT, None, 8)
    made = [mixed(ALL, small_dataset, train, real, drawn, 12) for _ in range(2)]
    plans = made[0][0].batches(0, 12)
    kinds = Counter(type(plan) for _, plan in plans)
    assert kinds[WrittenPlan] == 5  # half of 10 steps, and a falling share after
    assert kinds[PlannedBatch] == 7
    for step, plan in made[1][0].batches(3, 4):
        a, b = (maker(plan, np.random.default_rng(step)) for _, maker in made)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.targets, b.targets)


@pytest.mark.medium
def test_nothing_wanted_nothing_changed(small_dataset: Path, tmp_path: Path) -> None:
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(), 8, 4)
    drawn = SupervisedMaker(train, WORDS, DRAWN_AT, None, 8)
    assert mixed(SynthesisConfig(), tmp_path, train, real, drawn, 12) == (real, drawn)


@pytest.mark.medium
def test_held_out_captions_must_be_known(small_dataset: Path, tmp_path: Path) -> None:
    copyfile(small_dataset / "train.parquet", tmp_path / "train.parquet")
    train = load_expressions(small_dataset / "train.parquet")
    real = BatchStream(train.sizes, BatchConfig(), 8, 4)
    drawn = SupervisedMaker(train, WORDS, DRAWN_AT, None, 8)
    with pytest.raises(HmerError, match=HELD_OUT):
        mixed(ALL, tmp_path, train, real, drawn, 12)


@pytest.mark.medium
def test_ingest_says_what_is_held_out(small_dataset: Path) -> None:
    leakage = Leakage.read(small_dataset / HELD_OUT)
    val = load_expressions(small_dataset / "val.parquet").tokens
    long = [caption for caption in val if len(caption) > SHORT]
    assert long
    assert not any(leakage.allows(caption) for caption in long)
