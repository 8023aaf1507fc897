"""Shape buckets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hmer.data.batches import (
    BatchConfig,
    BatchStream,
    OrderedLoader,
    PlannedBatch,
    batch_size,
    choose_buckets,
    fixed_plans,
    plan_epoch,
    share_out,
)
from hmer.data.synthetic_batches import WrittenPlan

SIZE = st.tuples(st.integers(1, 400), st.integers(1, 1500))
SIZES = st.lists(SIZE, min_size=1, max_size=60).map(lambda s: np.array(s, dtype=np.int64))


@given(SIZES, st.integers(1, 9), st.sampled_from([1, 4, 8, 16]))
def test_few_shapes_that_hold_everything(sizes: np.ndarray, limit: int, multiple: int) -> None:
    buckets = choose_buckets(sizes, limit, multiple)
    assert 1 <= len(buckets) <= limit
    assert (buckets % multiple == 0).all()
    assert (np.diff(buckets.prod(axis=1)) >= 0).all()
    for size in sizes:
        assert (buckets >= size).all(axis=1).any()
    # Never much larger than needed: a step of a fifth and one multiple.
    assert (buckets.max(axis=0) < 1.5 * sizes.max(axis=0) + 2 * multiple).all()


def test_merges_what_costs_least() -> None:
    # Two kinds of lines and one tall outlier: the lines go together.
    sizes = np.array([[8, 100]] * 20 + [[8, 110]] * 20 + [[96, 8]])
    buckets = choose_buckets(sizes, 2, 8)
    assert len(buckets) == 2
    line = buckets[(buckets >= [8, 110]).all(axis=1)]
    tower = buckets[(buckets >= [96, 8]).all(axis=1)]
    assert line.tolist() != tower.tolist()
    assert line[0, 0] == 8
    assert tower[0, 1] == 8
    assert len(choose_buckets(sizes, 1, 8)) == 1


def test_no_sizes() -> None:
    with pytest.raises(ValueError, match="no sizes"):
        choose_buckets(np.empty((0, 2), np.int64), 3, 8)


@pytest.mark.parametrize(
    ("shape", "least", "count"),
    [((32, 32), 1, 4), ((64, 32), 1, 2), ((64, 33), 1, 1), ((99, 99), 1, 1), ((99, 99), 2, 2),
     ((8, 8), 2, 5)],
)  # fmt: skip
def test_batch_size(shape: tuple[int, int], least: int, count: int) -> None:
    config = BatchConfig(max_pixels=4096, max_count=5)
    assert batch_size(np.array(shape), config, least) == count


def planned(
    sizes: np.ndarray, config: BatchConfig, seed: int, scales: tuple[float, float], least: int = 1
) -> tuple[np.ndarray, list[PlannedBatch]]:
    buckets = choose_buckets(sizes, config.buckets, 8)
    return buckets, list(
        plan_epoch(sizes, buckets, config, np.random.default_rng(seed), scales, least)
    )


@given(
    SIZES,
    st.integers(1, 7),
    st.integers(1024, 300_000),
    st.sampled_from([(1.0, 1.0), (0.7, 1.4), (0.2, 0.3), (5.0, 200.0)]),
    st.integers(1, 3),
)
def test_an_epoch(
    sizes: np.ndarray,
    limit: int,
    pixels: int,
    scales: tuple[float, float],
    least: int,
) -> None:
    config = BatchConfig(max_pixels=pixels, max_count=6, buckets=limit)
    buckets, plans = planned(sizes, config, 1, scales, least)
    shapes = {tuple(shape): batch_size(shape, config, least) for shape in buckets}
    seen = np.zeros(len(sizes), int)
    for plan in plans:
        assert len(plan.samples) == len(plan.scales) == shapes[plan.height, plan.width]
        seen[np.unique(plan.samples)] += 1
        scaled = sizes[plan.samples] * plan.scales[:, None]
        assert (scaled <= [plan.height + 1e-6, plan.width + 1e-6]).all()
        assert (plan.scales > 0).all()
        assert (plan.scales <= scales[1] + 1e-9).all()
    assert (seen >= 1).all()
    # Repeats fill no more than the last batch of a bucket that no other one holds.
    rest = sum(len(plan.samples) for plan in plans) - len(sizes)
    largest = [
        count
        for shape, count in shapes.items()
        if sum((other >= np.array(shape)).all() for other in buckets) == 1
    ]
    assert rest <= sum(count - 1 for count in largest)


def test_an_epoch_of_many_shapes_shows_hardly_anything_twice() -> None:
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.normal([4.0, 5.2], [0.4, 0.6], (2000, 2))).astype(np.int64) + 8
    config = BatchConfig(max_pixels=250_000, buckets=32)
    lengths = rng.integers(1, 60, len(sizes))
    buckets = choose_buckets(sizes, config.buckets, 8)
    plans = plan_epoch(sizes, buckets, config, rng, (0.8, 1.25), lengths=lengths)
    seen = np.bincount(np.concatenate([plan.samples for plan in plans]), minlength=len(sizes))
    assert seen.min() == 1
    assert seen.mean() < 1.02


def test_one_sample() -> None:
    config = BatchConfig(max_pixels=100_000, max_count=3)
    _, (plan,) = planned(np.array([[20, 60]]), config, 0, (1.0, 1.0))
    assert plan.samples.tolist() == [0, 0, 0]
    assert plan.scales.tolist() == [1.0, 1.0, 1.0]


def test_scales_are_log_uniform_where_there_is_room() -> None:
    sizes = np.array([[40, 40]] * 4000 + [[200, 200]])
    _, plans = planned(sizes, BatchConfig(buckets=3), 0, (0.5, 2.0))
    scales = {int(i): float(s) for p in plans for i, s in zip(p.samples, p.scales, strict=True)}
    logs = np.log([scales[i] for i in range(4000)])
    assert np.quantile(logs, [0.25, 0.5, 0.75]) == pytest.approx(
        np.log([2**-0.5, 1, 2**0.5]), abs=0.06
    )


def test_a_tower_and_a_line_grow_into_their_own_buckets() -> None:
    """No bucket is as high as the tower and as wide as the line: enlarged ones shrink back."""
    sizes = np.array([[200, 16], [16, 200], [100, 100]])
    _, plans = planned(sizes, BatchConfig(buckets=3), 0, (3.0, 3.0))
    for plan in plans:
        scaled = sizes[plan.samples] * plan.scales[:, None]
        assert (scaled <= [plan.height, plan.width]).all()
        assert (scaled.max(axis=1) > 90).all()


def test_order_is_random_and_decided_by_the_generator() -> None:
    sizes = np.random.default_rng(0).integers(10, 200, (50, 2))
    config = BatchConfig(max_count=4)
    one, same, other = (
        [plan.samples.tolist() for plan in planned(sizes, config, seed, (1.0, 1.0))[1]]
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


SHAPES = np.random.default_rng(0).integers(10, 300, (23, 2))
CONFIG = BatchConfig(max_pixels=40_000, max_count=4, buckets=3)


def plain(plans: list[tuple[int, PlannedBatch]]) -> list[object]:
    return [
        (index, plan.samples.tolist(), plan.scales.tolist(), plan.height, plan.width)
        for index, plan in plans
    ]


def stream(seed: int = 5, scales: tuple[float, float] = (0.8, 1.25)) -> BatchStream:
    return BatchStream(SHAPES, CONFIG, 8, seed, scales)


def test_is_epoch_after_epoch() -> None:
    buckets = choose_buckets(SHAPES, 3, 8)
    wanted: list[PlannedBatch] = []
    for epoch in range(4):
        rng = np.random.default_rng([5, epoch])
        wanted += plan_epoch(SHAPES, buckets, CONFIG, rng, (0.8, 1.25))
    assert plain(stream().batches(0, len(wanted))) == plain(list(enumerate(wanted)))


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
    sizes = np.concatenate([SHAPES, [[400, 900]]])
    limited = BatchStream(sizes, CONFIG.model_copy(update={"max_image": 300 * 300}), 8, 5)
    whole = BatchStream(sizes, CONFIG, 8, 5)
    assert limited.buckets.prod(axis=1).max() < whole.buckets.prod(axis=1).max() / 2
    plans = [plan for _, plan in limited.batches(0, 60)]
    giant = [
        (plan, scale)
        for plan in plans
        for sample, scale in zip(plan.samples, plan.scales, strict=True)
        if sample == len(SHAPES)
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
