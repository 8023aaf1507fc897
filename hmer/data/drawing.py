"""Drawing one expression for a batch: from its strokes where there are any, else its image.

Both are distorted where that is wanted: strokes by `hmer.ink.augment`, images by
`hmer.data.distortion`, with the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.data.dataset import Expressions
from hmer.data.distortion import distort, ink_points
from hmer.errors import HmerError, InkError
from hmer.ink.augment import AugmentConfig, augment
from hmer.ink.images import encode_png
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink


class Drawable(Protocol):
    """Expressions that can be drawn: `hmer.data.dataset.Expressions`, or written ones."""

    @property
    def tokens(self) -> list[list[str]]:
        """Captions."""
        ...

    def ink(self, index: int) -> Ink | None:
        """Normalised ink; None where there is an image only."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """A rendering, (H, W), ink 255 on 0; asked for only where there is no ink."""
        ...


@dataclass(frozen=True)
class Drawn:
    """A drawing and where the points of the ink came to lie in it."""

    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0; at most the wanted size."""
    points: NDArray[np.float32]
    """(n, 2) pixel coordinates, x before y: all points of all strokes, in order; of an image, all
    inked pixels, row by row."""
    pen: float = 0.0
    """Width of the line in pixels; 0 where it is not known (an image)."""


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
    return Drawn(rendering.image, points, rendering.pen)


def draw_image(
    image: NDArray[np.uint8],
    scale: float,
    height: int,
    width: int,
    augmentation: AugmentConfig | None = None,
    rng: np.random.Generator | None = None,
) -> Drawn:
    """Rescale a stored image, distorted before if wanted; inked pixels stand for points of ink.

    Args:
        image: (H, W), ink 255 on 0.
        scale: of the copy; smaller where it would not fit otherwise.
        height: room for it.
        width: room for it.
        augmentation: what to do with it before; None: nothing.
        rng: randomness of that.

    Raises:
        ValueError: an augmentation without randomness.
    """
    points = ink_points(image)
    if augmentation is not None:
        if rng is None:
            raise ValueError("an augmentation needs a random generator")
        image, points = distort(image, augmentation, rng)
    scale = min(scale, height / image.shape[0], width / image.shape[1])
    size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    moved = points * np.divide(size, image.shape[::-1])
    return Drawn(resized, moved.astype(np.float32))


def draw(
    expressions: Drawable,
    index: int,
    config: RenderConfig,
    augmentation: AugmentConfig | None,
    rng: np.random.Generator,
    scale: float,
    height: int,
    width: int,
) -> tuple[Drawn, Ink | None]:
    """Draw expression `index`, augmented if wanted; also gives its (unaugmented) ink."""
    ink = expressions.ink(index)
    if ink is None:
        image = expressions.image(index)
        return draw_image(image, scale, height, width, augmentation, rng), None
    if augmentation is None:
        return draw_ink(ink, config, scale, height, width), ink
    shown = augment(ink, rng, augmentation)
    return draw_ink(shown, other_pen(config, augmentation, rng), scale, height, width), ink


def drawn_at(
    expressions: Expressions, style: RenderConfig, stored: RenderConfig | None
) -> Expressions:
    """The expressions with images at the scale of a recogniser, whatever their data set's.

    Ink is drawn in `style`; an image without ink is resized by the ratio of the two units.

    Args:
        expressions: a split of a data set.
        style: how the recogniser's training images were drawn.
        stored: how the images of the data set are drawn; None where that is not known.

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
