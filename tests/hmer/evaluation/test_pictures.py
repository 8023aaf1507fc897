"""Pictures handed to evaluation."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PillowImage

from hmer.evaluation.pictures import Mark, to_png


def test_ink_on_paper_is_a_grey_picture() -> None:
    image = np.array([[0, 255, 100]], np.uint8)
    with PillowImage.open(io.BytesIO(to_png(image))) as opened:
        assert np.asarray(opened).tolist() == [[255, 0, 155]]


def test_tint_and_marks() -> None:
    image = np.zeros((8, 12), np.uint8)
    image[2, 2:10] = 255
    tint = np.zeros((8, 12))
    tint[6, 6] = 0.02  # the deepest, whatever its value
    with PillowImage.open(io.BytesIO(to_png(image, tint))) as opened:
        colours = np.asarray(opened.convert("RGB")).astype(int)
    assert abs(colours[6, 6] - [230, 94, 0]).max() < 12
    assert colours[2, 5].max() < 12 and colours[0, 0].min() > 243
    mark = Mark((2.0, 1.0, 10.0, 7.0), "#00795a")
    with PillowImage.open(io.BytesIO(to_png(image, tint, [mark]))) as opened:
        drawn = np.asarray(opened.convert("RGB")).astype(int)
    assert drawn.shape == (16, 24, 3)  # twice as large
    assert abs(drawn[2, 10] - [0, 121, 90]).max() < 12
