"""Readings of expressions that have lost something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions
from hmer.data.schema import encode_png
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.robustness import readings
from hmer.evaluation.robustness.degraded import Series
from hmer.evaluation.robustness.occlusion import Hidden
from hmer.evaluation.robustness.readings import read_series, readings_at_most
from hmer.recognizer import Recognizer


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
        tell: Callable[[int], None],
    ) -> list[Read]:
        counts = [int(image[0].astype(bool).sum()) for image in images]
        found.extend(counts)
        tell(len(images))
        return [Read((str(count),)) for count in counts]

    monkeypatch.setattr(readings, "read_all", read)
    return found


def fewer(index: int, level: float) -> Hidden:
    """Takes `level` columns, but none of expression 2."""
    columns = (3, 5, 7)[index]
    taken = 0 if index == 2 else int(level)
    return Hidden(picture(columns - taken), taken / columns)


def test_only_what_has_changed_is_read_again(seen: list[int]) -> None:
    series = [Series("s", (1, 2), [0, 2], fewer, {}), Series("t", (1,), [1, 2], fewer, {})]
    told: list[int] = []
    trials = read_series(NOBODY, EXPRESSIONS, series, DecodingConfig(), BatchConfig(), told.append)
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
    series = [Series("s", (1,), [0], lambda i, level: Hidden(picture(9 - int(level)), 0.0), {})]
    trials = read_series(
        NOBODY, EXPRESSIONS, series, DecodingConfig(), BatchConfig(), lambda n: None
    )
    assert [trial.tokens for trial in trials] == [["9"], ["8"]]


def test_nobody_takes_part(seen: list[int]) -> None:
    series = [Series("s", (1,), [], fewer, {"images": 3})]
    assert read_series(NOBODY, EXPRESSIONS, series, DecodingConfig(), BatchConfig(), print) == []
    assert seen == [] and readings_at_most(series) == 0
