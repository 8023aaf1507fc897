"""The picture of phase 2."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hmer.selfsup.exhibit import MOMENTS, Exhibited
from hmer.selfsup.mask_sheet import HIDDEN_INK, HIDDEN_PAPER, mask_sheet, masked_colours


def exhibited(width: int) -> Exhibited:
    image = np.zeros((24, width), np.uint8)
    image[10:13, 4:-4] = 255
    hidden = [np.zeros((24, width), bool) for _ in MOMENTS]
    for count, one in enumerate(hidden):
        one[:, : count * width // 8] = True
    attention = np.zeros((24, width), np.float32)
    attention[8:16, -8:] = 1.0
    return Exhibited(image, hidden, [0.1 * k for k in range(len(MOMENTS))], attention)


def test_colours_by_hand() -> None:
    image = np.array([[255, 0, 255, 0]], np.uint8)
    hidden = np.array([[False, False, True, True]])
    black, white, orange, pale = masked_colours(image, hidden)[0]
    assert not black.any()
    assert (white == 1).all()
    np.testing.assert_allclose(orange, HIDDEN_INK)
    np.testing.assert_allclose(pale, HIDDEN_PAPER)


def test_sheet() -> None:
    rows = [exhibited(80), exhibited(300)]
    png = mask_sheet(rows, "blocks")
    assert png == mask_sheet(rows, "blocks")
    with Image.open(io.BytesIO(png)) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    wide = 255 * np.array([HIDDEN_INK])
    assert (np.abs(colours - wide).max(axis=1) < 12).sum() > 50
    assert len(mask_sheet(rows[:1], "blocks")) < len(png)
