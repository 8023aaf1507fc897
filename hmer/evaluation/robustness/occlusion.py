"""Hiding part of the ink of a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hmer.evaluation.images import Image, ink_mask


class Hidden(NamedTuple):
    """A picture with blocks hidden, and the share of its ink that they cover, in [0, 1]."""

    image: Image
    share: float


def hide_blocks(image: Image, share: float, block: int, rng: np.random.Generator) -> Hidden:
    """Blank square blocks centred on ink until at least `share` of the ink is hidden.

    Blocks are centred on ink still visible, so blank paper is never spent, and at most the last
    block goes beyond the share. With the same generator state, the blocks of a small share are the
    first of those of a larger one: the levels of a curve are nested.

    Args:
        image: ink 255 on 0, shape (H, W); not changed.
        share: of the ink pixels, in [0, 1].
        block: side of a block, pixels.
        rng: decides where the blocks fall.

    Raises:
        ValueError: share outside [0, 1] or block below 1.
    """
    if not 0.0 <= share <= 1.0 or block < 1:
        raise ValueError(f"expected share in [0, 1] and block >= 1, not {share} and {block}")
    ink = ink_mask(image)
    places = rng.permutation(np.argwhere(ink))
    image = image.copy()
    total = left = len(places)
    for row, column in places:
        if total - left >= share * total:
            break
        if not ink[row, column]:
            continue
        top, start = max(0, row - block // 2), max(0, column - block // 2)
        window = np.s_[top : row - block // 2 + block, start : column - block // 2 + block]
        left -= int(ink[window].sum())
        ink[window] = False
        image[window] = 0
    return Hidden(image, (total - left) / total if total else 0.0)
