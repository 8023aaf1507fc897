"""The stream of planned batches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.buckets import BatchConfig, PlannedBatch, choose_buckets, plan_epoch
from hmer.data.mixing import WrittenPlan
from hmer.data.stream import BatchStream, OrderedLoader, fixed_plans, share_out

SIZES = np.random.default_rng(0).integers(10, 300, (23, 2))
CONFIG = BatchConfig(max_pixels=40_000, max_count=4, buckets=3)


def plain(plans: list[tuple[int, PlannedBatch]]) -> list[object]:
    return [
        (index, plan.samples.tolist(), plan.scales.tolist(), plan.height, plan.width)
        for index, plan in plans
    ]


def stream(seed: int = 5, scales: tuple[float, float] = (0.8, 1.25)) -> BatchStream:
    return BatchStream(SIZES, CONFIG, 8, seed, scales)


def test_is_epoch_after_epoch() -> None:
    buckets = choose_buckets(SIZES, 3, 8)
    wanted: list[PlannedBatch] = []
    for epoch in range(4):
        rng = np.random.default_rng([5, epoch])
        wanted += plan_epoch(SIZES, buckets, CONFIG, rng, (0.8, 1.25))
    assert plain(stream().batches(0, len(wanted))) == plain(list(enumerate(wanted)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 60), st.integers(0, 25))
def test_any_piece_of_it_is_a_slice(start: int, number: int) -> None:
    whole = plain(stream().batches(0, 85))
    assert plain(stream().batches(start, number)) == whole[start : start + number]


def test_seeds_differ() -> None:
    assert plain(stream(1).batches(0, 5)) != plain(stream(2).batches(0, 5))


def test_a_least_number_of_samples() -> None:
    large = np.full((5, 2), 400)
    for least, count in ((1, 1), (2, 2)):
        found = BatchStream(large, CONFIG, 8, 0, least=least).batches(0, 6)
        assert {len(plan.samples) for _, plan in found} == {count}


def make(plan: PlannedBatch, rng: np.random.Generator) -> list[float]:
    return [*plan.samples.tolist(), float(rng.random())]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader(workers: int) -> None:
    plans = stream().batches(7, 5)
    found = list(OrderedLoader(plans, make, 5, workers))
    assert found == [make(plan, np.random.default_rng([5, 1, step])) for step, plan in plans]
    assert [float(batch[-1]) for batch in found] != sorted({float(batch[-1]) for batch in found})
    # A leg that starts later makes the same batches.
    assert list(OrderedLoader(stream().batches(9, 3), make, 5, workers)) == found[2:]
    assert list(OrderedLoader([], make, 5, workers)) == []


def test_making_batches_takes_no_number_from_the_training() -> None:
    before = torch.get_rng_state()
    for workers in (0, 2):
        list(OrderedLoader(stream().batches(0, 3), make, 5, workers))
    assert torch.equal(torch.get_rng_state(), before)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=200), st.integers(1, 16), st.integers(1, 24))
def test_each_chunk_has_one_maker_and_all_have_like_much(
    written: list[bool], workers: int, chunk: int
) -> None:
    plans: list[object] = []
    for is_written in written:
        number = sum(isinstance(plan, WrittenPlan) for plan in plans)
        plans.append(WrittenPlan(number // chunk, number % chunk, 9) if is_written else number)
    owners = share_out(plans, workers)
    assert len(owners) == len(plans)
    assert set(owners) <= set(range(workers))
    home: dict[int, int] = {}
    for plan, owner in zip(plans, owners, strict=True):
        if isinstance(plan, WrittenPlan):
            assert home.setdefault(plan.chunk, owner) == owner
    counts = np.bincount(owners, minlength=workers)
    assert counts.max() - counts.min() <= max(1, chunk)
    if not any(written):
        assert all(b == (a + 1) % workers for a, b in pairwise(owners))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 900)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(1, 5),
)
def test_fixed_plans_hold_each_sample_once(
    sizes: list[tuple[int, int]], count: int, buckets: int
) -> None:
    array = np.array(sizes, dtype=np.int64)
    config = BatchConfig(max_count=count, buckets=buckets)
    plans = list(fixed_plans(array, config, 8))
    samples = [int(i) for _, plan in plans for i in plan.samples]
    assert sorted(samples) == list(range(len(sizes)))
    for _, plan in plans:
        assert 1 <= len(plan.samples) <= count
        assert (plan.scales == 1.0).all()
        assert (array[plan.samples] <= [plan.height, plan.width]).all()
        assert plan.height % 8 == plan.width % 8 == 0
    assert plain(plans) == plain(list(fixed_plans(array, config, 8)))


def test_giants_are_shrunk_to_the_largest_shape_left() -> None:
    sizes = np.concatenate([SIZES, [[400, 900]]])
    limited = BatchStream(sizes, CONFIG.model_copy(update={"max_image": 300 * 300}), 8, 5)
    whole = BatchStream(sizes, CONFIG, 8, 5)
    assert limited.buckets.prod(axis=1).max() < whole.buckets.prod(axis=1).max() / 2
    plans = [plan for _, plan in limited.batches(0, 60)]
    giant = [
        (plan, scale)
        for plan in plans
        for sample, scale in zip(plan.samples, plan.scales, strict=True)
        if sample == len(SIZES)
    ]
    assert giant
    for plan, scale in giant:
        assert 400 * scale <= plan.height
        assert 900 * scale <= plan.width


def test_captions_of_a_batch_are_of_about_one_length() -> None:
    rng = np.random.default_rng(1)
    sizes, lengths = np.full((400, 2), 64), rng.integers(1, 60, 400)
    config = BatchConfig(max_pixels=8 * 64 * 64, buckets=1)
    fills = []
    for known in (None, lengths):
        plans = [p for _, p in BatchStream(sizes, config, 8, 5, lengths=known).batches(0, 50)]
        samples = np.concatenate([p.samples for p in plans])
        assert sorted(samples.tolist()) == list(range(400))
        longest = sum(int(lengths[p.samples].max()) * len(p.samples) for p in plans)
        fills.append(lengths[samples].sum() / longest)
    assert fills[0] < 0.65
    assert fills[1] > 0.8
