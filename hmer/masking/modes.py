"""The ways of hiding ink, under one name each."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from hmer.masking.blocks import hide_ink
from hmer.masking.guided import hide_guided
from hmer.masking.strokes import hide_strokes

Mode = Literal["blocks", "strokes", "guided"]


def hide(
    mode: Mode,
    images: Tensor,
    share: float,
    block: int,
    strokes: Tensor | None = None,
    attention: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Hide at least `share` of each image's ink; see the functions behind the modes.

    Args:
        mode: blocks at random, whole strokes, or blocks by preference where attention falls.
        images: float (B, 1, H, W), ink 1 on 0.
        share: of the summed grey value, in [0, 1].
        block: side of a block in pixels.
        strokes: integers (B, H, W) from `stroke_map`, for `strokes`; None: there is no ink, and
            blocks are hidden instead.
        attention: (B, h, w) map, for `guided`; None: blocks at random.

    Returns:
        The images with the ink hidden, and the hidden pixels, bool (B, 1, H, W).
    """
    if mode == "strokes" and strokes is not None:
        return hide_strokes(images, strokes, share, block)
    if mode == "guided" and attention is not None:
        return hide_guided(images, attention, share, block)
    return hide_ink(images, share, block)
