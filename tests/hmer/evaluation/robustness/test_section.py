"""Robustness on the page."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.data.dataset import Expressions
from hmer.data.schema import encode_png
from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.robustness.config import OcclusionConfig
from hmer.evaluation.robustness.curves import robustness_curves
from hmer.evaluation.robustness.degraded import Series
from hmer.evaluation.robustness.occlusion import Hidden
from hmer.evaluation.robustness.section import _shown, robustness_sections
from hmer.evaluation.robustness.trials import Trial

IMAGE = np.full((6, 20), 255, np.uint8)
EXPRESSIONS = Expressions(
    ["a", "b"], [["1", "+", "x"], ["y"]], [encode_png(IMAGE)] * 2, [None] * 2,
    np.array([[6, 20]] * 2),
)  # fmt: skip


def degrade(index: int, level: float) -> Hidden:
    return Hidden(IMAGE[:, : 20 - 2 * index], level)


def series(name: str, levels: tuple[float, ...]) -> Series:
    return Series(name, levels, [0, 1], degrade, {"images without strokes": 3})


STROKES, SYMBOLS = series("strokes", (0.1, 0.3)), series("symbols", (1, 2))
RIGHT = {("strokes", 0.0): "ab", ("strokes", 0.1): "a", ("strokes", 0.3): "",
         ("symbols", 0.0): "b", ("symbols", 1): "b", ("symbols", 2): "a"}  # fmt: skip
TRIALS = [
    Trial(row.name, level, level / 10, id, truth, truth if id in RIGHT[row.name, level] else ["-"])
    for row in (STROKES, SYMBOLS)
    for level in (0.0, *row.levels)
    for id, truth in zip(EXPRESSIONS.ids, EXPRESSIONS.tokens, strict=True)
]


def test_numbers_tables_and_words() -> None:
    curves = robustness_curves(TRIALS, seed=0, resamples=100)
    strokes, symbols = robustness_sections(
        [STROKES, SYMBOLS], curves, TRIALS, EXPRESSIONS, OcclusionConfig(), seed=0
    )
    # Of 4 characters: b wrong is 1 edit, a wrong 3.
    assert strokes.numbers == {
        "n": 2, "exprate_0": 100.0, "cer_0": 0.0,
        "exprate_10": 50.0, "cer_10": 25.0, "loss_10": 50.0,
        "exprate_30": 0.0, "cer_30": 100.0, "loss_30": 100.0, "exprate_mean": 25.0,
    }  # fmt: skip
    assert symbols.flat()["symbols.exprate_2"] == 50.0
    assert symbols.numbers["loss_1"] == 0.0 and symbols.numbers["exprate_mean"] == 50.0
    table, errors = strokes.tables
    assert [row[0] for row in table.rows] == [0, 10, 30]
    assert [row[0] for row in symbols.tables[0].rows] == [0, 1, 2]
    assert dict(zip(table.header, table.rows[1], strict=True))["loss"] == 50.0
    assert dict(zip(errors.header, errors.rows[2], strict=True))["cer_rise"] == 100.0
    assert "Left out: 3 images without strokes." in strokes.text and "greedy" in strokes.text
    for section in (strokes, symbols):
        for figure in section.figures:
            assert to_png(figure.draw()).startswith(b"\x89PNG")


def test_without_members_there_is_a_note_only() -> None:
    row = Series("strokes", (0.1,), [], degrade, {"images without strokes": 2})
    (section,) = robustness_sections([row], {}, [], EXPRESSIONS, OcclusionConfig(), seed=0)
    assert section.text == (
        "Not measured: no expression can take part. Left out: 2 images without strokes."
    )
    assert not section.numbers and not section.tables and not section.figures


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_right_is_shown_first(seed: int) -> None:
    mine = [trial for trial in TRIALS if trial.series == "symbols"]
    first, second = _shown(SYMBOLS, mine, EXPRESSIONS, seed)
    assert (first.truth, second.truth) == (["y"], ["1", "+", "x"])
    assert [image.shape for image in first.images] == [(6, 18)] * 3
    assert list(first.readings) == [["y"], ["y"], ["-"]]
