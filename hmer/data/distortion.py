"""Distortions of an image of ink, where there are no strokes to distort.

*Our design*: what can be done to an image of what `hmer.ink.augment` does to strokes (rotation,
slant, stretch, pen), with the same parameters; moving strokes one by one cannot. The geometry is
kept with the image by torchvision's key points, so that a piece of ink is found again.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as nn_functional
from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
from torchvision.transforms.v2 import functional  # type: ignore[import-untyped]
from torchvision.tv_tensors import KeyPoints  # type: ignore[import-untyped]

from hmer.ink.augment import AugmentConfig
from hmer.ink.images import ink_mask

TRACE = 12
"""Grey value above which a pixel is kept when paper is cut off."""
THINNEST = 0.6
"""A line loses at most this share of its outermost pixels: hair lines must not vanish."""


def ink_points(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Centres of the inked pixels of an image (H, W), row by row: (n, 2), x before y."""
    rows, columns = np.nonzero(ink_mask(image))
    return (np.stack([columns, rows], axis=1) + 0.5).astype(np.float32)


def distort(
    image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A distorted copy at the same size of writing; paper around the ink is as wide as it was.

    Args:
        image: (H, W), ink 255 on 0.
        config: of it, rotation, shear, aspect and pen.
        rng: source of all randomness.

    Returns:
        The copy, and where its `ink_points` came to lie in it, in the same order.
    """
    points = ink_points(image)
    draws = rng.uniform(-1, 1, 4)
    if not (image > TRACE).any():
        return image, points
    pixels = pen_width(torch.from_numpy(image.copy())[None], config.pen ** float(draws[0]))
    pixels, moved = _turn(
        pixels,
        torch.from_numpy(points),
        config.rotation * float(draws[1]),
        math.degrees(math.atan(config.shear * float(draws[2]))),
    )
    stretch = config.aspect ** (0.5 * float(draws[3]))
    height, width = pixels.shape[-2:]
    size = [max(1, round(height / stretch)), max(1, round(width * stretch))]
    if size != [height, width]:
        pixels = functional.resize(pixels, size, antialias=True)
        moved = functional.resize(KeyPoints(moved, canvas_size=(height, width)), size)
    left, top, right, bottom = _frame(pixels[0], image)
    pixels = functional.pad(pixels, [max(0, -left), max(0, -top), max(0, right), max(0, bottom)])
    rows, columns = pixels.shape[-2:]
    window = pixels[
        0,
        max(0, top) : rows - max(0, -bottom),
        max(0, left) : columns - max(0, -right),
    ]
    shift = np.array([left, top], np.float32)
    return np.ascontiguousarray(window.numpy()), moved.as_subclass(Tensor).numpy() - shift


def pen_width(pixels: Tensor, factor: float) -> Tensor:
    """Lines about `factor` times as wide: grey uint8 (1, H, W) to the same.

    Blends the image with its dilation (or erosion) by one pixel, so that the amount of ink is
    `factor` times what it was as far as one pixel on either side allows.
    """
    grey = pixels.float()
    ink = grey.sum()
    if factor >= 1:
        other = nn_functional.max_pool2d(grey, 3, 1, 1)
        most = 1.0
    else:
        other = -nn_functional.max_pool2d(-grey, 3, 1, 1)
        most = THINNEST
    change = (other.sum() - ink).abs().clamp(min=1e-6)
    blend = (abs(factor - 1) * ink / change).clamp(max=most)
    return torch.lerp(grey, other, blend).round().to(torch.uint8)


def _turn(pixels: Tensor, points: Tensor, angle: float, slant: float) -> tuple[Tensor, Tensor]:
    """Rotate and slant (degrees) about the middle, on paper that is large enough for it."""
    height, width = pixels.shape[-2:]
    reach = math.sin(math.radians(abs(angle)))
    lean = math.tan(math.radians(abs(slant)))
    around = [math.ceil((height * (reach + lean)) / 2) + 2, math.ceil(width * reach / 2) + 2]
    pixels = functional.pad(pixels, around)
    spots = functional.pad(KeyPoints(points, canvas_size=(height, width)), around)
    about = {"angle": angle, "translate": [0, 0], "scale": 1.0, "shear": [slant, 0.0]}
    turned = functional.affine(
        pixels, interpolation=InterpolationMode.BILINEAR, fill=[0.0], **about
    )
    return turned, cast(Tensor, functional.affine(spots, **about))


def _frame(pixels: Tensor, original: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """What to cut off at the left and top, and to add at the right and bottom; may be negative.

    Then the ink has as much paper around it as in the original.
    """
    found = []
    for image in (pixels.numpy(), original):
        traces = image > TRACE
        rows, columns = np.flatnonzero(traces.any(axis=1)), np.flatnonzero(traces.any(axis=0))
        if not len(rows):  # thinned to nothing: leave it where it is
            return 0, 0, 0, 0
        height, width = image.shape
        found.append((columns[0], rows[0], width - 1 - columns[-1], height - 1 - rows[-1]))
    now, before = found
    return (
        int(now[0] - before[0]), int(now[1] - before[1]),
        int(before[2] - now[2]), int(before[3] - now[3]),
    )  # fmt: skip
