"""Pictures handed to evaluation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from hmer.evaluation.images import decode, ink_mask


def test_png_and_array_are_the_same() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "PNG")
    assert np.array_equal(decode(buffer.getvalue()), image)
    assert decode(image) is image
    assert ink_mask(image).sum() == (image >= 128).sum() == 5


def test_refuses_what_is_no_picture() -> None:
    with pytest.raises(ValueError, match="PNG"):
        decode(b"\x89PNG no")
    with pytest.raises(ValueError, match="uint8"):
        decode(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        decode(np.zeros((0, 4), np.uint8))
