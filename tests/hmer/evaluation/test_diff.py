"""Marked differences."""

from __future__ import annotations

from hmer.evaluation.diff import mark


def test_marks_both_sides() -> None:
    truth, read = mark(["a", "+", "b", "c"], ["a", "+", "d"])
    assert [item.token for item in truth if not item.same] == ["b", "c"]
    assert [item.token for item in read if not item.same] == ["d"]
    assert [item.token for item in read] == ["a", "+", "d"]


def test_nothing_read() -> None:
    truth, read = mark(["x"], [])
    assert truth == [("x", False)]
    assert read == []
