from __future__ import annotations

import numpy as np
import pytest

from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.structure.measure import bank_extents, measure
from hmer.synthesis.structure.parts import Part

EXTENTS = {"x": (-1.0, 0.0), "p": (-1.0, 0.5), "b": (-1.6, 0.0), "-": (-0.5, -0.45), "(": (-2, 1)}


def written(token: str, left: float, scale: float, baseline: float) -> Part:
    top, bottom = EXTENTS[token]
    points = np.array([[left, top], [left + 1, bottom]], np.float32) * np.array(
        [1, scale], np.float32
    )
    return Part(token, (points + np.array([0, baseline], np.float32),))


def test_scale_and_baseline_are_found_again() -> None:
    row = [written(token, 2 * i, 1.7, 5.0) for i, token in enumerate("xpb")]
    found = measure(row, 0.0, EXTENTS)
    assert found is not None
    assert found == pytest.approx((1.7, 5.0))


def test_bars_and_brackets_do_not_vote() -> None:
    row = [written("x", 0, 2.0, 1.0), written("-", 2, 9.0, 0.0), written("(", 4, 9.0, 3.0)]
    assert measure(row, 0.0, EXTENTS) == pytest.approx((2.0, 1.0))
    assert measure(row[1:], 0.0, EXTENTS) is None
    assert measure([Part("")], 0.0, EXTENTS) is None


def test_a_climbing_row_has_its_baseline_where_one_looks() -> None:
    row = [written("x", 2 * i, 1.0, -0.1 * i) for i in range(21)]
    left, right = measure(row, 0.0, EXTENTS), measure(row, 40.0, EXTENTS)
    assert left is not None and right is not None
    assert left.baseline == pytest.approx(-0.2, abs=0.1)
    assert right.baseline == pytest.approx(-1.8, abs=0.1)


def test_extents_of_a_bank() -> None:
    glyphs = [np.array([[0, -1.0 - d], [1, 0.0 + d]]) for d in (-0.1, 0.0, 0.1, 0.2, -0.2)]
    bank = GlyphBank.pack([Cutting("x", "ada", (glyph,)) for glyph in glyphs], {})
    assert bank_extents(bank) == {"x": pytest.approx((-1.0, 0.0), abs=0.01)}
