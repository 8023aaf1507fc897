import numpy as np
import pytest

from hmer.synthesis.layout.box import Box, bracket_pairs, clearance, gap, kind, to_ink


def box(left: float, top: float, right: float, bottom: float, token: str = "x") -> Box:
    return Box.of(token, (np.array([[left, top], [right, bottom]], dtype=float),))


def agrees(made: Box) -> bool:
    points = np.concatenate([mark.points for mark in made.marks])
    edges = (*points.min(axis=0), *points.max(axis=0))
    return bool(np.allclose(edges, (made.left, made.top, made.right, made.bottom)))


def test_the_rectangle_follows_the_ink() -> None:
    made = box(1, -2, 3, 0).move(2, 5)
    assert (made.left, made.top, made.right, made.bottom) == (3, 3, 5, 5) and agrees(made)
    assert agrees(made.stretch(2, 0.5)) and made.width == 4 and made.height == 1
    made.fit_height(-1, 4)
    assert agrees(made) and np.isclose(made.top, -1) and np.isclose(made.bottom, 4)
    made.add(box(-7, 0, -6, 9))
    assert agrees(made) and made.left == -7 and made.bottom == 9


def test_to_ink_numbers_strokes_in_order_and_moves_to_the_origin() -> None:
    two = Box.of("=", (np.array([[5.0, 1.0], [6.0, 1.0]]), np.array([[5.0, 2.0], [6.0, 2.0]])))
    ink = to_ink([*box(1, 0, 2, 3, "1").marks, *two.marks], 0.0)
    assert [(symbol.token, symbol.strokes) for symbol in ink.symbols] == [
        ("1", (0,)),
        ("=", (1, 2)),
    ]
    assert ink.bounds()[:2] == (0.0, 0.0)
    assert np.allclose(ink.strokes[2], [[4, 2], [5, 2]])
    assert ink.strokes[0].dtype == np.float32


def test_to_ink_turns_rigidly() -> None:
    straight, turned = (to_ink(box(0, 0, 3, 4).marks, angle) for angle in (0.0, 0.1))
    length = [float(np.hypot(*np.ptp(ink.strokes[0], axis=0))) for ink in (straight, turned)]
    assert np.isclose(length[0], length[1])
    assert not np.allclose(straight.strokes[0], turned.strokes[0])


def line(*points: tuple[float, float]) -> Box:
    return Box.of("x", (np.array(points, dtype=float),))


def test_clearance_is_measured_at_equal_heights() -> None:
    slash = line(*((1 - y / 10, y / 10) for y in range(11)))  # from (1, 0) down to (0, 1)
    upright = line(*((1.2, y / 10) for y in range(11)))
    assert np.isclose(clearance(slash, upright), 0.2)
    under = line((0.9, 0.8), (0.9, 0.9), (0.9, 1.0))  # beside its foot, below its head
    assert clearance(slash, under) == pytest.approx(0.9 - 0.3, abs=0.11)
    crossing = line(*((0.5, y / 10) for y in range(11)))
    assert clearance(slash, crossing) < -0.3


def test_ink_at_other_heights_is_never_near() -> None:
    assert clearance(box(0, 0, 1, 1), box(0.5, 3, 1, 4)) == np.inf
    assert clearance(box(0, 0, 1, 1), box(9, 0, 10, 1)) == np.inf, "further than any neighbour"


def test_inner_pairs_come_first() -> None:
    assert list(bracket_pairs("( a ( b ) )".split())) == [(2, 4), (0, 5)]


def test_bars_open_and_close() -> None:
    assert list(bracket_pairs("| a | + | b |".split())) == [(0, 2), (4, 6)]


def test_what_does_not_match_is_left_alone() -> None:
    assert list(bracket_pairs("( a ] )".split())) == [(0, 3)]
    assert list(bracket_pairs(") a (".split())) == []


def test_kinds() -> None:
    assert kind("7") == "digit"
    assert kind(r"\sin") == "operator"
    assert kind(r"\leq") == "relation"
    assert kind(r"\frac") == "ordinary"


def test_digits_stand_closer_than_operators_and_relations_furthest() -> None:
    assert gap(None, "1", "2") < gap("x", "+", "y") < gap("x", "=", "y")


def test_a_sign_stands_closer_to_its_number_than_an_operator_does() -> None:
    assert gap(None, "-", "2") < gap("x", "-", "2")
    assert gap("=", "-", "2") == gap(None, "-", "2")


def test_a_decimal_point_is_no_punctuation() -> None:
    assert gap(None, "3", ".") == gap("3", ".", "1") < gap("x", ",", "y")
