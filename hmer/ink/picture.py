"""Pictures of handwriting - scans, photographs, screenshots - made to look like rendered ink."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from hmer.errors import InkError
from hmer.ink.components import component_boxes
from hmer.ink.render import MAX_PIXELS
from hmer.ink.scale import typical_size

Grey = NDArray[np.uint8]

MAX_SOURCE_PIXELS = 2**27
"""Pictures larger than this are not opened: 128 megapixels."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""File formats that are read. Others that Pillow knows run external programs or are obscure."""

_MAX_SIDE = 2560  # larger pictures are shrunk: handwriting on them is still sharp
_UNEVEN = 10.0  # grey levels between parts of the paper, above which light is levelled
_FAINT = 0.12  # contrast below which there is no ink, only noise
_CROWDED = 0.6  # share of "ink" above which it is texture
_BLOB_TO_STROKE = 1.17  # blobs are whole symbols, with the pen's width: median on CROHME renderings
_SPECK = 0.12  # share of the symbol size below which a blob is dirt


def load_picture(source: Path | str | bytes) -> Grey:
    """Read a picture as ink on nothing.

    Turns it upright (EXIF), puts transparent parts on white, decides whether ink is darker or
    brighter than paper, levels uneven light, and cuts away what surrounds the ink.

    Args:
        source: a file's path, or its content.

    Returns:
        uint8 (H, W), ink bright (255) on 0.

    Raises:
        InkError: missing, not a picture, too large, or without ink.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    grey = _open(source, name)
    strength = _ink_strength(grey)
    threshold = _otsu(strength)
    inked = strength > threshold
    if not inked.any() or float(np.median(strength[inked])) < _FAINT or inked.mean() > _CROWDED:
        raise InkError(f"{name}: no ink found; take a sharper picture of the expression alone")
    # Soft edges stay soft: half the threshold is paper, the usual ink is full.
    low, full = threshold / 2, float(np.median(strength[inked]))
    image = np.clip((strength - low) / max(full - low, 1e-6), 0, 1)
    left, top, right, bottom = _extent(inked)
    cropped = image[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
    return np.asarray(np.rint(cropped * 255), np.uint8)


def picture_unit(image: Grey) -> float:
    """Pixels per typical symbol, from the connected components of a bright-on-black image.

    The counterpart of `hmer.ink.scale.symbol_unit` where there are no strokes.

    Raises:
        InkError: there is no ink.
    """
    boxes = component_boxes(image > 127)
    if not len(boxes):
        raise InkError("a picture without ink has no size")
    sizes = (boxes[:, 2:4] - boxes[:, :2]).astype(np.float64)
    return max(typical_size(sizes) / _BLOB_TO_STROKE, 1.0)


def rescale_picture(image: Grey, unit: float, margin: float = 0.25) -> Grey:
    """The image at `unit` pixels per typical symbol, with a blank border of `margin` units.

    Raises:
        InkError: there is no ink, or the result would have more than `MAX_PIXELS`.
    """
    scale = unit / picture_unit(image)
    width, height = (max(1, round(side * scale)) for side in image.shape[::-1])
    border = round(margin * unit)
    if (width + 2 * border) * (height + 2 * border) > MAX_PIXELS:
        raise InkError(
            f"the picture is {width} x {height} pixels at {unit:g} pixels per symbol: the symbols "
            "are too small for it; take a picture of one expression only"
        )
    # Antialiased by its support: a reduction averages all pixels it merges.
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.pad(np.asarray(resized), border)


def _open(source: Path | str | bytes, name: str) -> NDArray[np.float32]:
    """The picture in grey, upright, (H, W) from 0 to 255, no side above `_MAX_SIDE`."""
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        ) as picture:
            if picture.width * picture.height > MAX_SOURCE_PIXELS:
                raise InkError(f"{name}: {picture.width} x {picture.height} pixels; scale it down")
            picture.draft(None, (_MAX_SIDE, _MAX_SIDE))
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise InkError(f"{name}: no such file; check the path") from None
    except InkError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).split(":")[0].split("<")[0].strip()
        raise InkError(
            f"{name}: not a readable picture ({reason}); save it as PNG or JPEG"
        ) from error
    grey = _to_grey(upright)
    grey.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        # Deep grey: spread what is there over 8 bits; converting would cut it off at 255.
        values = np.nan_to_num(np.asarray(picture, np.float64))
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(np.uint8((values - low) / max(high - low, 1e-9) * 255))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("L")
    return picture.convert("L")


def _ink_strength(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each pixel differs from the paper, 0 to 1, in the direction that ink does."""
    paper = _paper(grey)
    darker = np.clip((paper - grey) / np.maximum(paper, 1.0), 0, 1)
    brighter = np.clip((grey - paper) / np.maximum(255.0 - paper, 1.0), 0, 1)
    # Ink is few pixels that differ much; squaring keeps the noise of the paper out of it.
    chosen = darker if float((darker**2).sum()) >= float((brighter**2).sum()) else brighter
    return np.asarray(chosen, np.float32)


def _paper(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grey level of the paper at every pixel: one for all where light is even."""
    level = np.full_like(grey, np.median(grey))
    tile = max(grey.shape) // 24
    if tile < 8:
        return level
    # The median of each tile, of all tiles around it: handwriting covers less than half of both.
    rows, columns = (max(1, side // tile) for side in grey.shape)
    tiles = grey[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile)
    small = np.median(tiles, axis=(1, 3))
    light = Image.fromarray(small.astype(np.uint8)).filter(ImageFilter.MedianFilter(5))
    if np.ptp(np.asarray(light)) < _UNEVEN:
        return level
    full = light.resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(full, np.float32)


def _otsu(strength: NDArray[np.float32]) -> float:
    """The threshold that parts the values best (Otsu 1979: largest between-class variance)."""
    counts, edges = np.histogram(strength, bins=256, range=(0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    total, mass = below[-1], np.cumsum(counts * centres)
    above = total - below
    valid = (below > 0) & (above > 0)
    if not valid.any():
        return 1.0
    gap = mass[valid] / below[valid] - (mass[-1] - mass[valid]) / above[valid]
    variance = below[valid] * above[valid] * gap**2
    return float(edges[1:][valid][variance.argmax()])


def _extent(inked: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The box around all ink but specks of dirt."""
    boxes = component_boxes(inked)
    sizes = boxes[:, 2:4] - boxes[:, :2]
    unit = typical_size(sizes[boxes[:, 4] > 3].astype(np.float64)) if len(boxes) > 1 else 0.0
    kept = boxes[sizes.max(axis=1) >= _SPECK * unit] if unit > 8 else boxes
    kept = kept if len(kept) else boxes
    left, top = kept[:, :2].min(axis=0).tolist()
    right, bottom = kept[:, 2:4].max(axis=0).tolist()
    return left, top, right, bottom
