"""Scoring a recogniser on a labelled set."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.labelled import LabelledSet
from hmer.evaluation.scoring import score
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=20)


@pytest.fixture(scope="module")
def recognizer(model_folder: Path) -> Recognizer:
    return Recognizer.load(model_folder)


def labelled(recognizer: Recognizer, inks: tuple[Ink, ...]) -> LabelledSet:
    """What the recogniser reads is the truth, but for the last."""
    read = [
        (image, recognizer.read([image], GREEDY)[0].tokens)
        for image in map(recognizer.prepare, inks)
    ]
    images = [image for image, tokens in read if tokens]
    truths = [tokens for _, tokens in read if tokens]
    assert len(images) >= 3
    truths[-1] = (*truths[-1], "+")
    names = [f"e{i}" for i in range(len(images))]
    return LabelledSet(names, truths, images, {"broken": "cut off"}, ["blank"])


def test_by_hand(recognizer: Recognizer, inks: tuple[Ink, ...], tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    found = labelled(recognizer, inks)
    scored = score(recognizer, found, GREEDY, lambda *x: told.append(x))
    n = len(found.images)
    assert scored.summary.n == n + 1
    assert scored.summary.exprate == pytest.approx(100 * (n - 1) / (n + 1))
    assert scored.summary.le1 == pytest.approx(100 * n / (n + 1))
    assert scored.summary.unreadable == ("broken",)
    assert scored.unlabelled == 1
    assert scored.interval[0] <= scored.summary.exprate <= scored.interval[1]
    assert told[-1] == (n, n)
    scored.write(tmp_path / "readings.csv")
    rows = list(csv.DictReader((tmp_path / "readings.csv").open(encoding="utf-8")))
    assert len(rows) == n + 1
    assert {row["id"] for row in rows[:2]} == {"broken", f"e{n - 1}"}
    assert all(row["edits"] == "0" for row in rows[2:])


def test_a_set_of_which_nothing_can_be_read(recognizer: Recognizer) -> None:
    scored = score(recognizer, LabelledSet(refused={"a": "cut off"}), GREEDY)
    assert (scored.summary.n, scored.summary.exprate) == (1, 0.0)
    assert np.isfinite(scored.seconds)
