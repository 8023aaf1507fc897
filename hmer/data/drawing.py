"""Drawing one expression for a batch: from its strokes where there are any, else its image.

Both are distorted where that is wanted: strokes by `hmer.ink.augment`, images by
`hmer.data.distortion`, with the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.data.distortion import distort, ink_points
from hmer.ink.augment import AugmentConfig, augment
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
