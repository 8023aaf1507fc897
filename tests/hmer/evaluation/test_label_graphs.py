"""LgEval's figures on graphs worked by hand."""

from __future__ import annotations

import pytest

from hmer.evaluation.label_graphs import GraphScores
from hmer.latex.label_graph import label_graph

TRUTH = label_graph("x ^ { 2 } + y".split(), {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]})


def numbers(*readings: tuple[str, dict[int, list[int]]]) -> dict[str, float]:
    scores = GraphScores()
    for caption, strokes in readings:
        scores.update(TRUTH, label_graph(caption.split(), strokes))
    return {name.removeprefix("label_graphs."): value for name, value in scores.numbers().items()}


def test_the_truth_is_right() -> None:
    found = numbers(("x ^ { 2 } + y", {0: [1, 0], 3: [2], 5: [4, 3], 6: [5]}))
    assert found.pop("n") == 1
    assert set(found.values()) == {100.0} and len(found) == 8


def test_a_wrong_label_spoils_the_symbol_but_not_the_structure() -> None:
    found = numbers(("x ^ { 2 } + z", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]}))
    assert found["symbol_recall"] == found["symbol_precision"] == 75.0
    assert found["segmentation_recall"] == found["relation_recall"] == found["structure"] == 100.0
    assert found["exprate"] == 0.0


def test_a_symbol_in_pieces_spoils_what_hangs_on_it() -> None:
    # The plus is read as - and 1: its two relations are gone, the script's is left.
    found = numbers(("x ^ { 2 } - 1 y", {0: [0, 1], 3: [2], 5: [3], 6: [4], 7: [5]}))
    assert found["segmentation_recall"] == found["symbol_recall"] == 75.0
    assert found["segmentation_precision"] == found["symbol_precision"] == pytest.approx(60.0)
    assert found["relation_recall"] == pytest.approx(100 / 3)
    assert found["relation_precision"] == 25.0
    assert found["structure"] == found["exprate"] == 0.0


def test_a_wrong_relation_spoils_the_structure_alone() -> None:
    found = numbers(("x 2 + y", {0: [0, 1], 1: [2], 2: [3, 4], 3: [5]}))
    assert found["symbol_recall"] == 100.0
    # x 2 is Right in place of Sup, and the plus hangs on the 2 in place of the x.
    assert found["relation_recall"] == found["relation_precision"] == pytest.approx(100 / 3)
    assert found["structure"] == found["exprate"] == 0.0


def test_a_symbol_without_strokes_is_one_too_many() -> None:
    found = numbers(("x ^ { 2 } + y y", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5], 7: []}))
    assert found["symbol_recall"] == 100.0 and found["symbol_precision"] == 80.0
    assert found["structure"] == found["exprate"] == 0.0


def test_what_cannot_be_read_has_nothing_right() -> None:
    right = ("x ^ { 2 } + y", {0: [0, 1], 3: [2], 5: [3, 4], 6: [5]})
    found = numbers(("", {}), right)
    assert found["n"] == 2 and found["symbol_recall"] == found["exprate"] == 50.0
    assert found["symbol_precision"] == 100.0
    assert "symbol_precision" not in numbers(("", {}))
    assert GraphScores().numbers() == {}
