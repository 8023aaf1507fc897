import numpy as np
import pytest

from hmer.latex.parse import parse
from hmer.synthesis.glyphs.baselines import font_extents
from hmer.synthesis.hands.comparison import compare, gather, smirnov
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.layout import write


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
