"""Nearest neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.retrieval.neighbours import (
    accuracy,
    majority,
    nearest,
    ranks,
    recognisable,
    unit,
)


def test_vectors_of_length_one_about_their_middle() -> None:
    vectors = np.random.default_rng(0).normal(5.0, 1.0, (20, 4)).astype(np.float32)
    found = unit(vectors)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert found == pytest.approx(unit(vectors + 100.0), abs=1e-4)
    assert not unit(np.ones((3, 2), np.float32)).any()


@pytest.mark.parametrize("count", [1, 3])
def test_nearest_agrees_with_a_slow_search(count: int) -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.standard_normal((700, 5)).astype(np.float32))
    groups = rng.integers(0, 60, 700)
    found = nearest(vectors, vectors, lambda part: groups[part, None] == groups, count)
    for query in range(0, 700, 97):
        others = [n for n in range(700) if groups[n] != groups[query]]
        slow = sorted(others, key=lambda n: -float(vectors[query] @ vectors[n]))[:count]
        assert found[query].tolist() == slow


def test_ranks() -> None:
    queries = np.eye(3, dtype=np.float32)
    gallery = np.array([[0.9, 0, 0], [0, 0.1, 0.9], [0.95, 0.8, 0.5]], np.float32)
    # The third is nearer to the first and to the second query than their own are.
    assert ranks(queries, gallery).tolist() == [1, 1, 1]
    assert ranks(queries, queries).tolist() == [0, 0, 0]


def test_what_can_be_recognised() -> None:
    labels = np.array(["a", "a", "b", "b", "c"])
    groups = np.array([0, 1, 0, 0, 1])
    assert recognisable(labels, groups).tolist() == [True, True, False, False, False]
    assert recognisable(labels[:0], groups[:0]).tolist() == []


def test_accuracy() -> None:
    truth = np.array(["a", "a", "a", "b"])
    found = accuracy(truth, np.array(["a", "a", "b", "c"]))
    assert (found.overall, found.per_class) == pytest.approx((50.0, 100 / 3))
    level = majority(truth)
    assert (level.overall, level.per_class) == pytest.approx((75.0, 50.0))
