"""Robustness: curves, readings and sections, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions
from hmer.evaluation import robustness
from hmer.evaluation.corruptions import Corrupted, OcclusionConfig, Series
from hmer.evaluation.prediction import Trial
from hmer.evaluation.report import Section
from hmer.evaluation.robustness import (
    read_series,
    readings_at_most,
    robustness_curve,
    robustness_section,
)
from hmer.ink.images import decode_png, encode_png
from hmer.recognizer import Recognizer

TRUTHS = {"a": ["x", "+", "1"], "b": ["y"], "c": [r"\pi", "r"], "d": ["z"]}


def trial(level: float, id: str, read: list[str] | None, series: str = "s") -> Trial:
    return Trial(series, level, level + 0.1 if level else 0.0, id, TRUTHS[id], read)


TRIALS = [
    trial(0.5, "a", ["x", "-", "1"]),  # lost; one character of three
    trial(0.5, "b", ["y"]),  # kept
    trial(0.5, "c", None),  # lost; all four characters
    trial(0.5, "d", ["z"]),  # won; a character fewer
    trial(0.0, "a", ["x", "+", "1"]),
    trial(0.0, "b", ["y"]),
    trial(0.0, "c", [r"\pi", "r"]),
    trial(0.0, "d", ["w"]),
]


def test_by_hand() -> None:
    light, heavy = robustness_curve(TRIALS)
    assert (light.level, light.share, light.exprate.mean) == (0.0, 0.0, 75.0)
    assert light.loss == (0.0, 0.0, 0.0) and light.cer_rise == (0.0, 0.0, 0.0)
    assert heavy.level == 0.5 and heavy.share == pytest.approx(0.6)
    assert heavy.exprate.mean == heavy.scores.exprate == 50.0
    assert heavy.loss.mean == 25.0  # two lost, one won, of four
    assert heavy.loss.low < 0.0 < heavy.loss.high
    # 3 + 1 + 4 + 1 characters of truth; edits 1 + 0 + 4 + 0, before 0 + 0 + 0 + 1.
    assert heavy.scores.cer == pytest.approx(100 * 5 / 9)
    assert light.scores.cer == pytest.approx(100 * 1 / 9)
    assert heavy.cer_rise.mean == pytest.approx(100 * (5 - 1) / 9)
    assert heavy.scores.unreadable == ("c",)


def test_pairing_takes_only_the_expressions_of_the_level() -> None:
    some = [t for t in TRIALS if t.level == 0.0 or t.id in "bd"]
    heavy = robustness_curve(some)[1]
    assert heavy.scores.n == 2
    assert heavy.loss.mean == -50.0


def test_an_interval_of_a_sure_loss() -> None:
    ids = [f"{i}" for i in range(100)]
    right = np.arange(100) % 5 > 0
    trials = [Trial("s", 0.0, 0.0, id, ["x"], ["x"]) for id in ids]
    trials += [
        Trial("s", 0.1, 0.1, id, ["x"], ["x"] if ok else ["y"])
        for id, ok in zip(ids, right, strict=True)
    ]
    loss = robustness_curve(trials)[1].loss
    # A binomial draw of 100 at 0.2: standard error 4.
    assert loss.mean == pytest.approx(20.0)
    assert (loss.low, loss.high) == pytest.approx((12.2, 27.8), abs=1.3)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="twice"):
        robustness_curve([TRIALS[0], TRIALS[0]])
    with pytest.raises(ValueError, match="level 0 has not"):
        robustness_curve(TRIALS[:2])


def picture(columns: int) -> np.ndarray:
    """So many columns of ink, which is what our reader counts."""
    image = np.zeros((4, 10), np.uint8)
    image[:, :columns] = 255
    return image


EXPRESSIONS = Expressions(
    ["a", "b", "c"],
    [["3"], ["5"], ["7"]],
    [encode_png(picture(n)) for n in (3, 5, 7)],
    [None] * 3,
    np.array([[4, 10]] * 3),
)


NOBODY = cast(Recognizer, None)
"""The reader below needs no model."""


@dataclass
class Read:
    tokens: tuple[str, ...]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Columns of the pictures that were read, in order, by a reader that counts them."""
    found: list[int] = []

    def read(
        recognizer: object,
        images: Sequence[np.ndarray],
        decoding: object,
        batch: object,
        count: Callable[[int], None],
    ) -> list[Read]:
        counts = [int(image[0].astype(bool).sum()) for image in images]
        found.extend(counts)
        count(len(images))
        return [Read((str(count),)) for count in counts]

    monkeypatch.setattr(robustness, "read_all", read)
    return found


def fewer(index: int, level: float) -> Corrupted:
    """Takes `level` columns, but none of expression 2."""
    columns = (3, 5, 7)[index]
    taken = 0 if index == 2 else int(level)
    return Corrupted(picture(columns - taken), taken / columns)


def test_only_what_has_changed_is_read_again(seen: list[int]) -> None:
    series = [Series("s", (1, 2), [0, 2], fewer, {}), Series("t", (1,), [1, 2], fewer, {})]
    told: list[int] = []
    trials = read_series(NOBODY, EXPRESSIONS, series, OcclusionConfig(), BatchConfig(), told.append)
    assert seen == [3, 5, 7, 2, 1, 4]
    assert readings_at_most(series) == 3 + 2 * 2 + 2 == sum(told)
    assert [(t.series, t.level, t.id, t.tokens) for t in trials] == [
        ("s", 0, "a", ["3"]),
        ("s", 0, "c", ["7"]),
        ("s", 1, "a", ["2"]),
        ("s", 1, "c", ["7"]),
        ("s", 2, "a", ["1"]),
        ("s", 2, "c", ["7"]),
        ("t", 0, "b", ["5"]),
        ("t", 0, "c", ["7"]),
        ("t", 1, "b", ["4"]),
        ("t", 1, "c", ["7"]),
    ]
    assert trials[4].share == pytest.approx(2 / 3)
    assert [trial.correct for trial in trials[:3]] == [True, True, False]


def test_a_series_drawn_otherwise_is_read_as_drawn(seen: list[int]) -> None:
    # Where level 0 is another picture than the stored one, the pairs are of what was drawn.
    series = [Series("s", (1,), [0], lambda i, level: Corrupted(picture(9 - int(level)), 0.0), {})]
    trials = read_series(
        NOBODY, EXPRESSIONS, series, OcclusionConfig(), BatchConfig(), lambda n: None
    )
    assert [trial.tokens for trial in trials] == [["9"], ["8"]]


def test_nobody_takes_part(seen: list[int]) -> None:
    series = [Series("s", (1,), [], fewer, {"images": 3})]
    assert read_series(NOBODY, EXPRESSIONS, series, OcclusionConfig(), BatchConfig(), print) == []
    assert seen == [] and readings_at_most(series) == 0


IMAGE = np.full((6, 20), 255, np.uint8)
PAIR = Expressions(
    ["a", "b"], [["1", "+", "x"], ["y"]], [encode_png(IMAGE)] * 2, [None] * 2,
    np.array([[6, 20]] * 2),
)  # fmt: skip


def cut(index: int, level: float) -> Corrupted:
    return Corrupted(IMAGE[:, : 20 - 2 * index], level)


def series(name: str, levels: tuple[float, ...]) -> Series:
    return Series(name, levels, [0, 1], cut, {"images without strokes": 3})


STROKES, SYMBOLS = series("strokes", (0.1, 0.3)), series("symbols", (1, 2))
RIGHT = {("strokes", 0.0): "ab", ("strokes", 0.1): "a", ("strokes", 0.3): "",
         ("symbols", 0.0): "b", ("symbols", 1): "b", ("symbols", 2): "a"}  # fmt: skip
MINE = [
    Trial(row.name, level, level / 10, id, truth, truth if id in RIGHT[row.name, level] else ["-"])
    for row in (STROKES, SYMBOLS)
    for level in (0.0, *row.levels)
    for id, truth in zip(PAIR.ids, PAIR.tokens, strict=True)
]


def section(row: Series) -> Section:
    mine = [trial for trial in MINE if trial.series == row.name] if row.members else []
    return robustness_section(row, mine, PAIR, OcclusionConfig())


def test_numbers_tables_and_words() -> None:
    strokes, symbols = section(STROKES), section(SYMBOLS)
    # Of 4 characters: b wrong is 1 edit, a wrong 3.
    assert strokes.numbers == {
        "n": 2, "exprate_0": 100.0, "cer_0": 0.0,
        "exprate_10": 50.0, "cer_10": 25.0, "loss_10": 50.0,
        "exprate_30": 0.0, "cer_30": 100.0, "loss_30": 100.0, "exprate_mean": 25.0,
    }  # fmt: skip
    assert symbols.numbers["exprate_2"] == 50.0
    assert symbols.numbers["loss_1"] == 0.0 and symbols.numbers["exprate_mean"] == 50.0
    rates, errors = (table.frame for table in strokes.tables)
    assert rates["level"].tolist() == [0, 10, 30]
    assert symbols.tables[0].frame["level"].tolist() == [0, 1, 2]
    assert rates["loss"][1] == 50.0 and errors["cer_rise"][2] == 100.0
    assert "Left out: 3 images without strokes." in strokes.text and "greedy" in strokes.text
    assert [figure.png[:4] for figure in strokes.figures] == [b"\x89PNG"]


def test_without_members_there_is_a_note_only() -> None:
    found = section(Series("strokes", (0.1,), [], cut, {"images without strokes": 2}))
    assert found.text == (
        "Not measured: no expression can take part. Left out: 2 images without strokes."
    )
    assert not found.numbers and not found.tables and not found.figures


def test_what_is_read_right_is_shown_first() -> None:
    (gallery,) = section(SYMBOLS).galleries
    first, second = gallery.rows
    assert (first[0], second[0]) == ("y", "1 + x")
    assert [picture.right for picture in first[1]] == [True, True, False]
    assert [decode_png(p.png).shape for p in first[1] if p.png] == [(6, 18)] * 3
    assert first[1][2].lines == [("", [("-", False)])]
