"""Pictures of handwriting at the scale, and with the pen, of rendered ink."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hmer.errors import InkError
from hmer.ink.affine import Affine, moved, scaled
from hmer.ink.blobs import picture_unit
from hmer.ink.deskew import straighten
from hmer.ink.pen import pen_width, with_pen
from hmer.ink.picture import Grey
from hmer.ink.render import MAX_PIXELS, RenderConfig
from hmer.ink.wide import run_widths

_THICKEST = 1.2  # times the pen wanted: training varies it more, and thinning loses shapes
_FINE = 3.0  # pixels, per pixel of the result or of the pen, at which lines are drawn anew


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
    wanted = style.pen * unit
    if pen > _THICKEST * wanted:  # what has run together is wider than the pen
        pen = min(pen, float(np.quantile(run_widths(image > 127), 0.4)))
        wanted = min(pen, _THICKEST * wanted)
    drawn = with_pen(work, pen * fine, wanted * fine)
    found = np.pad(_resized(drawn, width + 2 * room, height + 2 * room), border - room)
    return found, back @ scaled(image.shape[1] / width, image.shape[0] / height) @ moved(
        -border, -border
    )


def _resized(image: Grey, width: int, height: int) -> Grey:
    # Antialiased by its support: a reduction averages all pixels it merges.
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture)
