import numpy as np
import pytest

from benchmarks.habits import ENOUGH, compare, fit_habit, fit_habits, gather, measure_ink, smirnov
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.tree import parse
from hmer.synthesis.glyphs.cutting import font_extents
from hmer.synthesis.hands.style_distribution import Habit
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.layout import write

EXTENTS = {"a": (-0.8, 0.0), "b": (-1.2, 0.0), "2": (-1.2, 0.0)}


def ink(tokens: list[str], boxes: dict[int, tuple[float, float, float, float]]) -> Ink:
    """A diagonal from corner to corner for the token at each place."""
    strokes = tuple(np.array([box[:2], box[2:]], np.float32) for box in boxes.values())
    symbols = tuple(Symbol(tokens[place], (n,), place) for n, place in enumerate(boxes))
    return Ink(strokes, symbols)


def measured(caption: str, boxes: dict[int, tuple[float, float, float, float]]) -> dict[str, float]:
    tokens = caption.split()
    return {m.name: m.value for m in measure_ink(ink(tokens, boxes), tokens, EXTENTS)}


def test_gaps_are_in_units_of_the_row() -> None:
    """Two letters, 1.6 high where 0.8 is usual: 0.6 apart is 0.3 units."""
    found = measured("a a", {0: (0, 0, 1, 1.6), 1: (1.6, 0, 2.6, 1.6)})
    assert found == {"gap ordinary ordinary": pytest.approx(0.3)}


def test_a_superscript() -> None:
    found = measured("a ^ { 2 }", {0: (0, -0.8, 0.8, 0), 3: (1, -1.3, 1.3, -0.7)})
    assert found["sup scale"] == pytest.approx(0.5) and found["sup gap"] == pytest.approx(0.2)
    # Its baseline is at -0.7, the middle of its line 0.42 * 0.5 higher; 0.55 of the base's height.
    assert found["sup raise"] == pytest.approx(0.7 + 0.21 - 0.55 * 0.8, abs=1e-5)


def test_a_subscript() -> None:
    found = measured("a _ { 2 }", {0: (0, -0.8, 0.8, 0), 3: (0.7, -0.2, 1.3, 0.4)})
    assert found["sub scale"] == pytest.approx(0.5) and found["sub gap"] == pytest.approx(-0.1)
    assert found["sub drop"] == pytest.approx(0.4 - 0.21, abs=1e-5)


def test_a_fraction_beside_a_letter() -> None:
    boxes = {0: (0, -0.8, 0.8, 0), 1: (1, -0.45, 3, -0.4), 3: (1.5, -1.45, 2.5, -0.65)}
    found = measured(r"a \frac { a } { b }", boxes | {6: (1.4, -0.1, 2.4, 1.1)})
    assert found["gap ordinary built"] == pytest.approx(0.2)
    assert found["numerator gap"] == pytest.approx(0.2, abs=1e-5)
    assert found["denominator gap"] == pytest.approx(0.3, abs=1e-5)
    assert found["bar overshoot"] == pytest.approx(0.5, abs=1e-5)
    assert found["part shift"] == pytest.approx(-0.1, abs=1e-5)
    assert found["fraction scale"] == pytest.approx(1.0)


def test_limits_over_and_beside() -> None:
    """The sign is alone in its row: a letter beside it gives the row its size."""
    boxes = {0: (0, -1.3, 1, 0.3), 7: (1.5, -0.8, 2.3, 0)}
    over = measured(
        r"\sum _ { 2 } ^ { b } a".replace(" ^ { b }", ""),
        {0: boxes[0], 3: (0.2, 0.5, 0.6, 1.1), 5: boxes[7]},
    )
    assert over[r"\sum scripts beside"] == 0.0
    assert over[r"\sum lower gap"] == pytest.approx(0.2, abs=1e-5)
    assert over[r"\sum limit shift"] == pytest.approx(-0.1, abs=1e-5)
    assert over["limit scale"] == pytest.approx(0.5)
    beside = measured(r"\int _ { 2 } a", {0: boxes[0], 3: (1.1, 0.0, 1.3, 0.6), 5: boxes[7]})
    assert beside[r"\int scripts beside"] == 1.0
    assert beside[r"\int lower beside gap"] == pytest.approx(0.1, abs=1e-5)
    assert beside[r"\int lower beside end"] == pytest.approx(0.3, abs=1e-5)


def test_brackets_around_tall_content() -> None:
    boxes = {
        0: (0, -1.5, 0.2, 0.9),
        1: (0.5, -0.45, 1.5, -0.4),
        3: (0.7, -1.4, 1.2, -0.6),
        6: (0.7, -0.1, 1.2, 1.1),
        8: (1.8, -1.6, 2.0, 1.0),
        9: (2.4, -0.8, 3.0, 0.0),
    }
    tokens = r"( \frac { a } { b } ) a".split()
    found = [m for m in measure_ink(ink(tokens, boxes), tokens, EXTENTS) if "bracket" in m.name]
    assert [m.value for m in found if m.name == "bracket top"] == pytest.approx(
        [0.1, 0.2], abs=1e-5
    )
    assert [m.value for m in found if m.name == "bracket bottom"] == pytest.approx(
        [-0.2, -0.1], abs=1e-5
    )


def test_ink_without_places_measures_nothing() -> None:
    bare = Ink((np.zeros((2, 2), np.float32),), (Symbol("a", (0,)),))
    assert list(measure_ink(bare, ["a"], EXTENTS)) == []


def test_smirnovs_distance_by_hand() -> None:
    assert smirnov([1, 2, 3, 4], [1, 2, 3, 4]) == 0.0
    assert smirnov([1, 2], [3, 4]) == 1.0
    assert smirnov([1, 2, 3, 4], [3, 4, 5, 6]) == pytest.approx(0.5)


def test_the_most_different_habit_comes_first() -> None:
    rng = np.random.default_rng(0)
    same, moved = rng.normal(size=500).tolist(), rng.normal(size=500).tolist()
    real = {"same": same, "moved": moved, "rare": [0.0]}
    same, moved = rng.normal(size=400).tolist(), rng.normal(2, 1, 400).tolist()
    composed = {"same": same, "moved": moved, "rare": [0.0]}
    found = compare(real, composed)
    assert [distance.name for distance in found] == ["moved", "same"]
    assert found[0].ks > 0.5 > 0.15 > found[1].ks
    assert found[0].count == (500, 400) and found[0].composed == pytest.approx(2.0, abs=0.2)


def test_gather_collects_over_expressions() -> None:
    tokens = "a + b = c ^ { 2 }".split()
    extents = font_extents(tokens)
    inks = [
        (write(parse(tokens), Writer.draw(seed), np.random.default_rng(seed)), tokens)
        for seed in range(5)
    ]
    found = gather(inks, extents)
    assert len(found["sup scale"]) == 5 and len(found["gap ordinary binary"]) == 5


@pytest.mark.parametrize("between", [0.0, 0.3, 0.8])
def test_a_fit_recovers_what_was_drawn(between: float) -> None:
    true = Habit(between, (-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0))
    rng = np.random.default_rng(1)
    measured = [
        (str(hand), true.value(own, rng.standard_normal()))
        for hand, own in enumerate(rng.standard_normal(1500).tolist())
        for _ in range(4)
    ]
    fitted = fit_habit(measured)
    assert fitted is not None
    assert fitted.between == pytest.approx(between, abs=0.06)
    assert fitted.quantiles[1:-1] == pytest.approx(true.quantiles[1:-1], abs=0.05)


def test_few_measurements_fit_nothing() -> None:
    few = [("a", float(n)) for n in range(ENOUGH - 1)]
    assert fit_habit(few) is None
    assert fit_habits({"few": few, "more": [*few, ("b", 0.0)]}).keys() == {"more"}
