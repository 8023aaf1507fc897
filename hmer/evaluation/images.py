"""Pictures of ink as evaluation sees them: 8-bit grey, ink 255 on black."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

Image = NDArray[np.uint8]
"""A picture, shape (H, W), ink 255 on 0."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

INK_LEVEL = 128
"""A pixel counts as ink from this grey level on; anti-aliased fringes do not."""


def decode(image: bytes | Image) -> Image:
    """The picture (H, W) behind PNG bytes; an array is checked and handed through.

    Raises:
        ValueError: not a readable picture, or not a non-empty uint8 array of two dimensions.
    """
    if isinstance(image, bytes):
        try:
            with PillowImage.open(io.BytesIO(image), formats=("PNG",)) as opened:
                image = np.asarray(opened.convert("L"), dtype=np.uint8)
        except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
            raise ValueError(f"not a readable PNG picture: {error}") from error
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a picture is uint8 (H, W), not {image.dtype} {image.shape}")
    return image


def ink_mask(image: Image) -> BoolArray:
    """Which pixels are ink, shape (H, W)."""
    return image >= INK_LEVEL
