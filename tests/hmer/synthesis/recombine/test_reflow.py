from __future__ import annotations

import numpy as np
import pytest

from hmer.latex.tree import Relation
from hmer.synthesis.editable_ink import Box, Part, extent
from hmer.synthesis.recombine.reflow import Step, look, settle


def box(token: str, left: float, top: float, right: float, bottom: float) -> Part:
    return Part(token, (np.array([[left, top], [right, bottom]], np.float32),))


def swapped(way: list[Step], wanted: Box, count: int = 1) -> None:
    """The parts at the end of the way replaced by one that fills a box."""
    before = look(way, count)
    last = way[-1]
    last.row[last.index : last.index + count] = [box("n", *wanted)]
    settle(way, before)


def test_neighbours_on_the_right_move() -> None:
    row = [box("a", 0, 0, 1, 1), box("b", 2, 0, 3, 1), box("c", 4, 0, 5, 1)]
    swapped([Step(row, 1, None)], (2, 0, 5, 1))
    assert [part.box() for part in row] == [(0, 0, 1, 1), (2, 0, 5, 1), (6, 0, 7, 1)]
    swapped([Step(row, 0, None)], (0, 0, 0.5, 1))
    assert row[2].box() == (5.5, 0, 6.5, 1)


def test_several_become_one() -> None:
    row = [box("a", 0, 0, 1, 1), box("b", 2, 0, 3, 1), box("c", 4, 0, 5, 1)]
    swapped([Step(row, 0, None)], (0, 0, 1, 1), count=2)
    assert [part.box() for part in row] == [(0, 0, 1, 1), (2, 0, 3, 1)]


def fraction(after: Part | None = None) -> tuple[list[Part], list[Part], list[Part]]:
    over, under = [box("a", 1, 0, 3, 1)], [box("b", 1, 2, 3, 3)]
    bar = box(r"\frac", 0.5, 1.5, 3.5, 1.5)
    bar.rows = [(Relation.ABOVE, over), (Relation.BELOW, under)]
    return [bar, *([after] if after else [])], over, under


def test_bars_grow_with_their_content() -> None:
    row, over, under = fraction(box("x", 4, 1, 5, 2))
    swapped([Step(row, 0, Relation.ABOVE), Step(over, 0, None)], (1, 0, 7, 1))
    bar, part = row[0].box(), over[0].box()
    assert bar == pytest.approx((0.5, 1.5, 7.5, 1.5))
    assert part == pytest.approx((1, 0, 7, 1))
    assert under[0].box() == pytest.approx((3, 2, 5, 3))  # still in the middle
    assert row[1].box() == pytest.approx((8, 1, 9, 2))


def test_bars_shrink_to_what_is_widest() -> None:
    row, over, under = fraction(box("x", 4, 1, 5, 2))
    swapped([Step(row, 0, Relation.ABOVE), Step(over, 0, None)], (1, 0, 1.5, 1))
    assert row[0].box() == pytest.approx((0.5, 1.5, 3.5, 1.5))
    assert over[0].box() == pytest.approx((1.75, 0, 2.25, 1))
    assert under[0].box() == pytest.approx((1, 2, 3, 3))
    assert row[1].box() == pytest.approx((4, 1, 5, 2))


@pytest.mark.parametrize("relation", [Relation.ABOVE, Relation.BELOW])
def test_tall_content_stays_off_the_bar(relation: Relation) -> None:
    row, over, under = fraction()
    content = over if relation is Relation.ABOVE else under
    swapped([Step(row, 0, relation), Step(content, 0, None)], (1, 0, 3, 3))
    new, bar = content[0].box(), row[0].box()
    if relation is Relation.ABOVE:
        assert new[3] < bar[1] and new[1] < 0
    else:
        assert new[1] > bar[3] and new[3] > 3
    assert new[3] - new[1] == pytest.approx(3)


def test_radicals_follow_their_radicand() -> None:
    inside = [box("a", 1, 0.5, 2, 2)]
    sign = Part(
        r"\sqrt",
        (np.array([[0, 1.2], [0.3, 2], [0.8, 0], [1.5, 0], [2.2, 0]], np.float32),),
        [(Relation.INSIDE, inside)],
    )
    row = [sign, box("x", 3, 1, 4, 2)]
    swapped([Step(row, 0, Relation.INSIDE), Step(inside, 0, None)], (1, -0.5, 5, 2))
    left, top, right, bottom = sign.box()
    assert (left, right) == pytest.approx((0, 5.2), abs=1e-5)
    assert top == pytest.approx(-1.0)
    assert bottom == pytest.approx(2.0)
    hook = sign.drawn()[0][:3, 0]
    assert hook.tolist() == pytest.approx([0, 0.3, 0.8])  # only the overline is longer
    assert row[1].box()[0] == pytest.approx(6)


def test_scripts_stay_clear_of_their_base() -> None:
    script = [box("2", 1, 0, 1.5, 0.5)]
    base = box("x", 0, 0.5, 1, 1.5)
    base.rows = [(Relation.SUP, script)]
    row = [base, box("y", 2, 0.5, 3, 1.5)]
    swapped([Step(row, 0, Relation.SUP), Step(script, 0, None)], (1, -1, 3, 1))
    assert script[0].box() == pytest.approx((1, -1.5, 3, 0.5))
    assert row[1].box() == pytest.approx((3.5, 0.5, 4.5, 1.5))


def test_limits_stay_centred_and_push_both_ways() -> None:
    limit = [box("i", 2, 2.5, 3, 3)]
    total = box(r"\sum", 2, 0, 3, 2)
    total.rows = [(Relation.SUB, limit)]
    row = [box("a", 0, 1, 1, 2), total, box("x", 4, 1, 5, 2)]
    swapped([Step(row, 1, Relation.SUB), Step(limit, 0, None)], (2, 2.5, 6, 3))
    assert total.box()[0] == pytest.approx(3.5)
    assert extent(limit) == pytest.approx((2, 2.5, 6, 3))
    assert row[2].box()[0] == pytest.approx(7)


def test_brackets_grow_with_what_they_hold() -> None:
    row = [
        box("(", 0, 0, 0.3, 1),
        box("a", 1, 0, 2, 1),
        box(")", 3, 0, 3.3, 1),
        box("x", 4, 0, 5, 1),
    ]
    swapped([Step(row, 1, None)], (1, -1, 2, 2))
    assert row[0].box() == pytest.approx((0, -1, 0.3, 2))
    assert row[2].box() == pytest.approx((3, -1, 3.3, 2))
    assert row[3].box() == pytest.approx((4, 0, 5, 1))
