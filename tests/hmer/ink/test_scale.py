import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import InkError
from hmer.ink.scale import MAX_GAP, TOLERANCE, normalise, own_unit, stroke_boxes, symbol_unit
from hmer.ink.strokes import Ink, Points, Symbol


def circle(x: float, y: float, diameter: float, points: int = 60) -> Points:
    angle = np.linspace(0, 2 * math.pi, points)
    return np.stack(
        [x + diameter / 2 * np.cos(angle), y + diameter / 2 * np.sin(angle)], axis=1
    ).astype(np.float32)


def line(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float32)


LETTERS = (circle(0, 0, 100), circle(150, 0, 100), circle(300, 0, 100))


def test_round_letters_set_the_unit() -> None:
    assert symbol_unit(Ink(LETTERS)) == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(
    "extra",
    [
        line((-500, 100), (5000, 110)),  # a fraction bar
        line((-50, 0), (-30, 60), (0, -200), (4000, -200)),  # a radical
        line((60, 40), (62, 41)),  # a decimal point
        line((60, 40)),  # one of a single sample
        line((400, -300), (380, 0), (400, 300)),  # a tall bracket
        line((60, 0), (110, 2)),  # minus
    ],
)
def test_no_single_stroke_moves_the_unit_far(extra: Points) -> None:
    assert symbol_unit(Ink((*LETTERS, extra))) == pytest.approx(100, rel=0.5)


def test_lone_strokes_get_their_natural_size() -> None:
    def height(stroke: Points) -> float:
        return float(np.ptp(normalise(Ink((stroke,))).strokes[0], axis=0).max())

    assert height(circle(0, 0, 7)) == pytest.approx(1.0, abs=0.01)
    assert height(line((0, 0), (1, 4000))) == pytest.approx(2**0.3, abs=0.01)  # 1
    assert height(line((0, 0), (30, 1))) == pytest.approx(4 / 3, abs=0.01)  # minus
    assert height(line((3, 4))) == 0  # a dot stays a dot


@given(st.floats(0.001, 1e4), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_normalised_ink_knows_no_device(scale: float, dx: float, dy: float) -> None:
    shift = np.array([dx, dy]) * scale / 10
    moved = Ink(LETTERS).mapped(
        lambda points: np.asarray(points.astype(float) * scale + shift, np.float32)
    )
    one, other = normalise(Ink(LETTERS)), normalise(moved)
    assert np.concatenate(other.strokes).min(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert other.bounds() == pytest.approx(one.bounds(), abs=0.01)


def test_strokes_and_symbols_are_kept_and_points_saved() -> None:
    ink = Ink((*LETTERS, line((3, 3))), (Symbol("o", (0,)), Symbol(".", (3,))))
    found = normalise(ink)
    assert found.symbols == ink.symbols
    assert [len(stroke) for stroke in found.strokes][3] == 1
    assert all(8 <= len(stroke) <= 25 for stroke in found.strokes[:3])


def distance(point: Points, path: Points) -> float:
    """From a point to the nearest point of a path, the slow way."""
    best = float("inf")
    for a, b in pairwise(path):
        for t in np.linspace(0, 1, 50):
            best = min(best, float(np.hypot(*(a + t * (b - a) - point))))
    return best


def test_simplified_stroke_stays_within_tolerance_and_has_no_long_gaps() -> None:
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(0, 4, (200, 2)), axis=0).astype(np.float32)
    ink = Ink((*LETTERS, walk, line((0, 0), (900, 30))))
    unit = symbol_unit(ink)
    origin = np.concatenate(ink.strokes).min(axis=0)
    found = normalise(ink)
    corner = found.strokes[0][0] - (ink.strokes[0][0] - origin) / unit
    assert np.abs(corner).max() <= TOLERANCE
    for before, after in zip(ink.strokes, found.strokes, strict=True):
        target = (before - origin) / unit + corner
        np.testing.assert_allclose(after[[0, -1]], target[[0, -1]], atol=1e-5)
        assert np.hypot(*np.diff(after, axis=0).T).max() <= MAX_GAP + 1e-5
        assert max(distance(point, after) for point in target[::7]) <= TOLERANCE + 1e-3


@pytest.mark.parametrize("slip", [0.0, 1.0, 12.0])
def test_dots_alone_are_as_far_apart_as_in_a_line(slip: float) -> None:
    dots = [line((x, 0), (x + slip, slip / 2)) for x in (0, 40, 80)]
    assert symbol_unit(Ink(tuple(dots))) == pytest.approx(50)
    assert symbol_unit(Ink(tuple(dots[:2]))) == pytest.approx(50)
    assert symbol_unit(Ink((line((0, 0), (0, 40)), line((60, 0), (60, 40))))) < 50  # two digits


def test_unit_can_be_given() -> None:
    assert normalise(Ink(LETTERS), 50).bounds()[3] == pytest.approx(2.0, abs=0.02)
    with pytest.raises(ValueError, match="positive"):
        normalise(Ink(LETTERS), 0.0)


def test_stray_points_far_away_are_told() -> None:
    with pytest.raises(InkError, match="stray"):
        normalise(Ink((*LETTERS, line((0, 0), (9e6, 0)))))


def test_ink_without_points_is_refused() -> None:
    empty = np.empty((0, 2), np.float32)
    for ink in (Ink(()), Ink((empty,))):
        with pytest.raises(InkError):
            symbol_unit(ink)
    with pytest.raises(InkError):
        normalise(Ink((LETTERS[0], empty)))


def test_a_dot_alone_stays_a_dot() -> None:
    slipped = Ink((np.array([(10, 10), (12, 11), (11, 13)], np.float32),))
    assert np.ptp(normalise(slipped).strokes[0], axis=0).max() == pytest.approx(0.1)
    finer = Ink((slipped.strokes[0] * np.float32(10.5),))  # no steps of a tablet: any symbol
    assert np.ptp(normalise(finer).strokes[0], axis=0).max() > 0.9
    assert own_unit(stroke_boxes(Ink((line((1, 1), (1.1, 1.2)),)))) == 1.0
    comma = stroke_boxes(Ink((line((0, 0.5), (0.2, 0)),)))
    assert own_unit(comma) == symbol_unit(Ink((line((0, 0.5), (0.2, 0)),))) < 1.0
