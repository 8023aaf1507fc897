from __future__ import annotations

from pathlib import Path

import numpy as np

from hmer.data.dataset import load_expressions
from hmer.synthesis.ink_index import Material


def test_material_holds_the_ink(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    material = Material.of(expressions)
    assert len(material) == len(expressions)
    assert material.skipped == 0
    for number in range(len(material)):
        ink = expressions.ink(number)
        assert ink is not None
        tokens = material.tokens[number]
        strokes = material.strokes_of(number, 0, len(tokens)).tolist()
        assert len(strokes) == len(ink.strokes)
        for one, other in zip(strokes, ink.strokes, strict=True):
            np.testing.assert_array_equal(material.stroke(one), other)
        for place in range(len(tokens)):
            own = material.strokes_of(number, place, place + 1) - strokes[0]
            owned = [s.strokes for s in ink.symbols if s.place == place]
            assert sorted(own.tolist()) == sorted(i for part in owned for i in part)


def test_pictures_are_skipped(picture_dataset: Path) -> None:
    expressions = load_expressions(picture_dataset / "train.parquet")
    material = Material.of(expressions)
    assert (len(material), material.skipped) == (0, len(expressions))
