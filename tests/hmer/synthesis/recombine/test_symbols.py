from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hmer.latex.tree import Relation
from hmer.synthesis.recombine.symbols import rewrite, ways
from hmer.synthesis.structure.parts import Part

EXTENTS = {"x": (-1.0, 0.0), "p": (-1.0, 0.5), "-": (-0.5, -0.45)}


def box(token: str, left: float, top: float, right: float, bottom: float) -> Part:
    return Part(token, (np.array([[left, top], [right, bottom]], np.float32),))


def line(left: float, top: float, right: float, bottom: float) -> tuple[NDArray[np.float64], ...]:
    return (np.array([[left, top], [right, bottom]], np.float64),)


def test_another_symbol_stands_on_the_baseline_at_the_size_of_the_row() -> None:
    row = [box("x", 0, 0, 2, 2), box("x", 3, 0, 5, 2), box("-", 6, 1, 7, 1)]
    (first, *_) = ways(row)
    assert rewrite(first, "p", line(0, -1.0, 1.5, 0.5), EXTENTS)
    assert row[0].token == "p"
    assert row[0].box() == pytest.approx((0, 0, 3, 3))  # scale 2, baseline at y = 2
    assert row[1].box() == pytest.approx((4, 0, 6, 2))  # one unit further right, as the gap was
    assert row[2].box() == pytest.approx((7, 1, 8, 1))


def test_scripts_come_along() -> None:
    base = box("x", 0, 0, 2, 2)
    base.rows = [(Relation.SUP, [box("x", 2, -1, 3, 0)])]
    row = [base, box("x", 4, 0, 6, 2)]
    assert rewrite(next(ways(row)), "x", line(0, -1, 3, 0), EXTENTS)
    assert base.rows[0][1][0].box() == pytest.approx((6, -1, 7, 0))
    assert row[1].box() == pytest.approx((8, 0, 10, 2))


def test_without_measure_nothing_changes() -> None:
    row = [box("-", 0, 0, 2, 0)]
    assert not rewrite(next(ways(row)), "+", line(0, -1, 1, 0), EXTENTS)
    assert row[0].token == "-"
    assert row[0].box() == (0, 0, 2, 0)


def test_bars_and_brackets_keep_their_size() -> None:
    bar = box(r"\frac", 1, 4.9, 6, 5.1)
    assert rewrite(next(ways([bar])), r"\frac", line(0, -0.5, 2, -0.3), EXTENTS)
    left, top, right, bottom = bar.box()
    assert (left, right) == pytest.approx((1, 6))
    assert (top + bottom) / 2 == pytest.approx(5)
    fence = box("(", 0, 0, 0.5, 3)
    assert rewrite(next(ways([fence])), "(", line(0, -2, 1, 1), EXTENTS)
    assert fence.box() == pytest.approx((0, 0, 0.5, 3))
    assert not rewrite(next(ways([fence])), "[", line(0, -2, 1, 1), EXTENTS)


def test_radicals_fit_where_the_old_one_was() -> None:
    hook = np.array([[0, 1.2], [0.3, 2], [0.8, 0], [1.5, 0], [4.0, 0]])
    sign = Part(r"\sqrt", (hook.astype(np.float32),), [(Relation.INSIDE, [box("x", 1, 1, 3, 2)])])
    taller = (hook * [0.5, 2.0],)
    assert rewrite(next(ways([sign])), r"\sqrt", taller, EXTENTS)
    _, top, right, bottom = sign.box()
    assert right == pytest.approx(4.0, abs=1e-4)
    assert (top, bottom) == pytest.approx((0.0, 2.0), abs=1e-4)
    scribble = (np.array([[0.0, 0.0], [1.0, 1.0]]),)
    assert not rewrite(next(ways([sign])), r"\sqrt", scribble, EXTENTS)


def test_ways_lead_to_every_symbol() -> None:
    row = [
        Part("a", (), [(Relation.SUP, [Part("b")])]),
        Part("", (), [(Relation.INSIDE, [Part("c")])]),
    ]
    assert [way[-1].row[way[-1].index].token for way in ways(row)] == ["a", "b", "c"]
