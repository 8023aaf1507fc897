"""Which batches of a training are written ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.buckets import BatchConfig, PlannedBatch
from hmer.data.mixing import MixedStream, MixingConfig, WrittenPlan
from hmer.data.stream import BatchStream

SIZES = np.random.default_rng(0).integers(10, 300, (23, 2))
REAL = BatchStream(SIZES, BatchConfig(max_pixels=40_000, max_count=4, buckets=3), 8, 5, (0.8, 1.2))
MIXING = MixingConfig(
    share=0.5, first=1.0, settles=0.1, falls=0.5, ends=0.75, shortest=4,
    longest=64, grown=0.4, chunk=3,
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


@pytest.mark.parametrize(("progress", "limit"), [(0, 4), (0.2, 16), (0.4, 64), (0.9, 64)])
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


@settings(deadline=None, max_examples=30)
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
    assert limits[-1] == 64


def test_without_a_share_nothing_is_written() -> None:
    plans = stream(MixingConfig()).batches(0, 50)
    assert plain(plans) == plain(list(REAL.batches(0, 50)))
