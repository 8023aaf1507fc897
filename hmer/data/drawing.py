"""Drawing one expression for a batch: from its strokes where there are any, else its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    """(n, 2) pixel coordinates, x before y: all points of all strokes, in order."""


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
    return Drawn(rendering.image, rendering.to_pixels(np.concatenate(ink.strokes)))


def draw_image(image: NDArray[np.uint8], scale: float, height: int, width: int) -> Drawn:
    """Rescale a stored image; every inked pixel stands for a point of ink."""
    scale = min(scale, height / image.shape[0], width / image.shape[1])
    size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    rows, columns = np.nonzero(image > 127)
    points = (np.stack([columns, rows], axis=1) + 0.5) * np.divide(size, image.shape[::-1])
    return Drawn(resized, points.astype(np.float32))


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
        return draw_image(expressions.image(index), scale, height, width), None
    if augmentation is None:
        return draw_ink(ink, config, scale, height, width), ink
    shown = augment(ink, rng, augmentation)
    return draw_ink(shown, other_pen(config, augmentation, rng), scale, height, width), ink
