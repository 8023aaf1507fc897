"""Grey images of ink (uint8 (H, W), ink 255 on paper 0): as PNG bytes, and which pixels are ink."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.errors import HmerError

INK_LEVEL = 128
"""A pixel counts as ink from this grey level on; anti-aliased fringes do not."""


def ink_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels are ink, shape (H, W)."""
    return image >= INK_LEVEL


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """The image as PNG bytes."""
    buffer = io.BytesIO()
    # Anti-aliased strokes hardly shrink at higher levels, which take three times as long.
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The image (H, W) behind PNG bytes.

    Raises:
        HmerError: not an image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HmerError(f"a dataset image is damaged ({error}); run ingest again") from error
