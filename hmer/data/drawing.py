"""Drawing one expression for a batch: from its strokes where there are any, else its image.

Both are distorted where that is wanted, with the same parameters: strokes by `hmer.ink.augment`,
images by what can be done to them (*our design*): rotation, slant, stretch, pen. The geometry is
kept with the image by torchvision's key points, so that a piece of ink is found again.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as nn_functional
from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
from torchvision.transforms.v2 import functional  # type: ignore[import-untyped]
from torchvision.tv_tensors import KeyPoints  # type: ignore[import-untyped]

from hmer.data.dataset import Expressions
from hmer.errors import HmerError, InkError
from hmer.ink.affine import Affine, mapped_points
from hmer.ink.augment import AugmentConfig, augment
from hmer.ink.fit import fitted
from hmer.ink.images import encode_png, ink_mask
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

TRACE = 12
"""Grey value above which a pixel is kept when paper is cut off."""
THINNEST = 0.6
"""A line loses at most this share of its outermost pixels: hair lines must not vanish."""
_PICTURE_SIZES = 1.0, 2.0  # of pictures, times the scale at which they are read


def ink_points(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Centres of the inked pixels of an image (H, W), row by row: (n, 2), x before y."""
    rows, columns = np.nonzero(ink_mask(image))
    return (np.stack([columns, rows], axis=1) + 0.5).astype(np.float32)


def distort(
    image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A distorted copy of an image (H, W), ink 255 on 0, with as much paper around the ink.

    Also where its `ink_points` came to lie in the copy, in the same order.
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


@dataclass(frozen=True)
class Drawn:
    """A drawing and where the points of the ink came to lie in it."""

    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0; at most the wanted size."""
    points: NDArray[np.float32]
    """(n, 2) pixel coordinates, x before y: all points of all strokes, in order; of an image, all
    inked pixels, row by row."""


def split_scale(config: AugmentConfig) -> tuple[AugmentConfig, tuple[float, float]]:
    """The augmentation without its size factor, and the range of that factor.

    The plan of a batch decides the size, because it has to know what fits the canvas.
    """
    without = config.model_copy(update={"scale": 1.0})
    return without, (1 / config.scale, config.scale)


def other_pen(
    config: RenderConfig, augmentation: AugmentConfig, rng: np.random.Generator
) -> RenderConfig:
    """The same rendering with a thinner or thicker pen."""
    factor = augmentation.pen ** rng.uniform(-1, 1)
    return config.model_copy(update={"pen": min(1.0, config.pen * float(factor))})


def draw_ink(ink: Ink, config: RenderConfig, scale: float, height: int, width: int) -> Drawn:
    """Render ink at `scale` times the usual size, shrunk if need be to fit height x width."""
    left, top, right, bottom = ink.bounds()
    # What the margin leaves, minus a pixel for rounding.
    border = 2 * config.margin * config.unit + 1
    room = min(
        (width - border) / max(right - left, 1e-6), (height - border) / max(bottom - top, 1e-6)
    )
    unit = min(config.unit * scale, max(room, 1.0))
    # The margin stays as it is in pixels; the pen scales with the ink.
    margin = config.margin * config.unit / unit
    rendering = render(ink, unit, config.pen, margin)
    points = rendering.to_pixels(np.concatenate(ink.strokes))
    return Drawn(rendering.image, points)


def draw_picture(
    ink: Ink, config: RenderConfig, pen: float, size: float, height: int, width: int
) -> Drawn:
    """The ink as it would be read from a picture (`hmer.ink.fit`), shrunk if need be.

    Args:
        ink: in symbol units.
        config: how pictures are read.
        pen: width of the line on the picture, in symbol units.
        size: of the picture, times the scale at which they are read.
        height: of the canvas, in pixels.
        width: of the canvas.

    Raises:
        InkError: no writing is found on it.
    """
    picture = render(ink, config.unit * size, pen, config.margin)
    image, back = fitted(picture.image, config)
    there: Affine = np.asarray(np.linalg.inv(back), np.float64)
    found = mapped_points(picture.to_pixels(np.concatenate(ink.strokes)), there)
    return _shrunk(image, found, min(1.0, height / image.shape[0], width / image.shape[1]))


def draw_image(
    image: NDArray[np.uint8],
    scale: float,
    height: int,
    width: int,
    augmentation: AugmentConfig | None,
    rng: np.random.Generator,
) -> Drawn:
    """Rescale a stored image (H, W), so that it fits; inked pixels stand for points of ink.

    With an augmentation it is distorted before.
    """
    points = ink_points(image)
    if augmentation is not None:
        image, points = distort(image, augmentation, rng)
    return _shrunk(image, points, min(scale, height / image.shape[0], width / image.shape[1]))


def _shrunk(image: NDArray[np.uint8], points: NDArray[np.floating], scale: float) -> Drawn:
    """Resized by this factor, and the points with it."""
    size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    moved = points * np.divide(size, image.shape[::-1])
    return Drawn(resized, moved.astype(np.float32))


def draw(
    written: Ink | NDArray[np.uint8],
    config: RenderConfig,
    augmentation: AugmentConfig | None,
    rng: np.random.Generator,
    scale: float,
    height: int,
    width: int,
    pictured: float = 0.0,
) -> Drawn:
    """Draw ink, or where there is none an image (H, W), augmented if wanted.

    `pictured` is the share of augmented inks that is read back as pictures, at the scale that these
    tell.
    """
    if not isinstance(written, Ink):
        return draw_image(written, scale, height, width, augmentation, rng)
    if augmentation is None:
        return draw_ink(written, config, scale, height, width)
    shown = augment(written, rng, augmentation)
    pen = other_pen(config, augmentation, rng)
    if pictured and rng.random() < pictured:
        size = float(rng.uniform(*_PICTURE_SIZES))
        with suppress(InkError):
            return draw_picture(shown, config, pen.pen, size, height, width)
    return draw_ink(shown, pen, scale, height, width)


def drawn_at(
    expressions: Expressions, style: RenderConfig, stored: RenderConfig | None
) -> Expressions:
    """The expressions with images in the `style` of a recogniser, whatever their data set's.

    An image without ink is resized by the ratio of its unit to that of `stored`, how the images of
    the data set are drawn; None where that is not known.

    Raises:
        HmerError: there is an image without ink, and the scale of the data set is not known; or
            ink cannot be drawn at this scale.
    """
    if stored == style:
        return expressions
    images = [_image_at(expressions, index, style, stored) for index in range(len(expressions))]
    sizes = np.array([image.shape for image in images], dtype=np.int64).reshape(-1, 2)
    return replace(expressions, images=[encode_png(image) for image in images], sizes=sizes)


def _image_at(
    expressions: Expressions, index: int, style: RenderConfig, stored: RenderConfig | None
) -> NDArray[np.uint8]:
    ink = expressions.ink(index)
    if ink is not None:
        try:
            return render(ink, style.unit, style.pen, style.margin).image
        except InkError as error:
            raise InkError(f"{expressions.ids[index]}: {error}") from None
    if stored is None:
        raise HmerError(
            f"{expressions.ids[index]}: an image without ink in a data set that does not say at "
            "what scale its images are; run ingest again"
        )
    image = expressions.image(index)
    if stored.unit == style.unit:
        return image
    height, width = (max(1, round(side * style.unit / stored.unit)) for side in image.shape)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)
