"""Shape buckets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.buckets import BatchConfig, PlannedBatch, batch_size, choose_buckets, plan_epoch

SIZE = st.tuples(st.integers(1, 400), st.integers(1, 1500))
SIZES = st.lists(SIZE, min_size=1, max_size=60).map(lambda s: np.array(s, dtype=np.int64))


@settings(deadline=None, max_examples=60)
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


@settings(deadline=None, max_examples=80)
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
