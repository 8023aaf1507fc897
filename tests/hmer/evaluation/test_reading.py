"""Reading many images in batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.batches import BatchConfig
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.reading import read_all
from hmer.ink.render import render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=8)


def test_answers_are_in_the_order_of_the_images(inks: tuple[Ink, ...], model_folder: Path) -> None:
    recognizer = Recognizer.load(model_folder)
    style = recognizer.render
    drawn = [render(normalise(ink), style.unit, style.pen, style.margin).image for ink in inks]
    # More paper than the convolutions reach: they notice where a canvas ends.
    images = [np.pad(image, ((0, 40), (0, 40))) for image in (*drawn, *drawn)]
    counted: list[int] = []
    batch = BatchConfig(max_pixels=150_000, max_count=3, buckets=2)
    answers = read_all(recognizer, images, GREEDY, batch, counted.append)
    assert sum(counted) == 12 and 1 < len(counted) <= 12
    assert max(counted) > 1
    for image, answer in zip(images, answers, strict=True):
        assert np.array_equal(answer.image, image)
        (alone,) = recognizer.read([image], GREEDY)
        assert answer.tokens == alone.tokens
        assert answer.confidence == pytest.approx(alone.confidence, rel=1e-3)


def test_nothing_to_read(model_folder: Path) -> None:
    told: list[int] = []
    assert read_all(Recognizer.load(model_folder), [], GREEDY, BatchConfig(), told.append) == []
    assert told == []
