"""Pictures of handwriting at the scale, and with the pen, of rendered ink."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hmer.errors import InkError
from hmer.ink.affine import Affine, moved, scaled
from hmer.ink.blobs import pen_width, picture_unit
from hmer.ink.deskew import straighten
from hmer.ink.picture import Grey
from hmer.ink.render import MAX_PIXELS, RenderConfig

_FINE = 3.0  # pixels, per pixel of the result or of the pen, at which lines are drawn anew
_SAME_PEN = 0.15  # of its width, by which the pen may differ from the one wanted


def fit_picture(image: Grey, style: RenderConfig, *, deskew: bool = True) -> Grey:
    """Ink on nothing, as `load_picture` gives it, as if it had been rendered.

    What is trained on and what is read go through this one function.

    Args:
        image: uint8 (H, W), ink 255 on 0, at any scale.
        style: pixels per typical symbol, the pen's width and the blank border of the result.
        deskew: turn the writing level.

    Raises:
        InkError: there is no ink, or the result would have more than `MAX_PIXELS`.
    """
    return fitted(image, style, deskew=deskew)[0]


def fitted(image: Grey, style: RenderConfig, *, deskew: bool = True) -> tuple[Grey, Affine]:
    """`fit_picture`, and the map from its pixels to those of the image given."""
    image, back = straighten(image) if deskew else (image, moved(0, 0))
    unit, pen = picture_unit(image), pen_width(image)
    scale = style.unit / unit
    height, width = (max(1, round(side * scale)) for side in image.shape)
    border = round(style.margin * style.unit)
    if (width + 2 * border) * (height + 2 * border) > MAX_PIXELS:
        raise InkError(
            f"the picture is {width} x {height} pixels at {style.unit:g} pixels per symbol: the "
            "symbols are too small for it; take a picture of one expression only"
        )
    # Lines are drawn anew where they are some pixels wide, before a reduction makes them faint.
    fine = max(_FINE * scale, min(1.0, _FINE / max(pen, 1.0)))
    room = -(-border // 2)  # for what the pen adds
    work = _resized(image, *(max(1, round(side * fine)) for side in image.shape[::-1]))
    work = np.pad(work, round(room * fine / scale))
    drawn = _with_pen(work, pen * fine, style.pen * unit * fine)
    found = np.pad(_resized(drawn, width + 2 * room, height + 2 * room), border - room)
    return found, back @ scaled(image.shape[1] / width, image.shape[0] / height) @ moved(
        -border, -border
    )


def _resized(image: Grey, width: int, height: int) -> Grey:
    # Antialiased by its support: a reduction averages all pixels it merges.
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _with_pen(image: Grey, width: float, wanted: float) -> Grey:
    """The image with its lines, of this width in pixels, made as wide as wanted."""
    if abs(width - wanted) < _SAME_PEN * wanted:
        return image
    reach = abs(wanted - width) / 2
    change = np.maximum if wanted > width else np.minimum
    before = image
    for number in range(int(np.ceil(reach))):
        before, image = image, _spread(image, change, square=number % 2 == 1)
    share = reach - np.floor(reach) or 1.0
    mixed = before * np.float32(1 - share) + image * np.float32(share)
    return np.asarray(np.rint(mixed), np.uint8)


def _spread(image: Grey, change: np.ufunc, *, square: bool) -> Grey:
    """Each pixel, or the largest or smallest of it and its neighbours (4, or 8 of a square)."""
    found = image.copy()
    change(found[1:], image[:-1], out=found[1:])
    change(found[:-1], image[1:], out=found[:-1])
    rows = found.copy() if square else image
    change(found[:, 1:], rows[:, :-1], out=found[:, 1:])
    change(found[:, :-1], rows[:, 1:], out=found[:, :-1])
    return found
