"""Pictures of handwriting - scans, photographs, screenshots - as ink on nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hmer.errors import InkError
from hmer.ink.affine import Affine, moved
from hmer.ink.blobs import pen_width
from hmer.ink.components import Components, component_boxes, components
from hmer.ink.raster import Page, content, frames, from_array, plain
from hmer.ink.ruling import without_ruling
from hmer.ink.scale import typical_size
from hmer.ink.wide import largest, opened, stroke_width, without_strokes

Grey = NDArray[np.uint8]
Levels = NDArray[np.float32]
Mask = NDArray[np.bool_]

_UNEVEN = 10.0  # grey levels between parts of the paper, above which light is levelled
_FAINT = 0.12  # contrast below which there is no ink, only noise
_PALE = 0.18  # contrast below which what looks like ink may be lines of the paper
_FAR = 4.0  # times the contrast of such lines, from which something among them is ink
_FAINTER = 2.0  # and where they are too faint for ink
_NOISE = 4.0  # standard deviations of the paper's grain above which a pixel may be ink
_PEAK = 0.6  # of the usual ink's contrast, which some pixel of whatever is ink reaches
_PALEST = 0.25  # of it, from which a mark may be written with a paler pen or pencil
_NEAR = 1.5  # of a stroke's width, up to which paper beside it is lit up by its blurred edge
_CROWDED = 0.6  # share of "ink" above which it is texture
_SPECK = 0.12  # share of the symbol size below which a blob is dirt
_PALE_SPECK = 0.4  # and for one that is paler than ink
_DOT = 0.75  # of the pen's width, from which such a blob may be a dot
_DOTS = 4
_FRAME = 0.06  # of its longer side, by which the line of a box may be askew
_SOLID = 1.5  # of the pen's width, up to which what lies over a corner is written
_WEDGE = 0.2  # of a picture's side, along which what lies beside the page is seen
_DARK = 64.0  # grey level below which paper is a board, or a screen in dark mode
_DESK = 60.0  # grey levels between a page and the desk it lies on
_NEAR_SIDE = 50  # of a picture's side: a bar along it begins as near, a speck is as small
_WHOLE = 0.95  # of a side, along which a bar is dark
_THICKEST = 4  # of a picture's side is such a bar, at most
_MARKED = 0.01  # share of what lies beside the page that differs from it by as much: writing
_ENOUGH = 24  # pixels along a side of a square that tell its median
_DITHERED = 0.03  # of the pixels of a picture in two levels are alone: their density is a shade
_DITHER = 1.5  # pixels by which they are blurred
_READY = 0.6  # share of pixels that are exactly 0 in an image of ink on nothing


class BlankError(InkError):
    """A picture on which nothing is written."""


@dataclass(frozen=True, slots=True)
class Writing:
    """The ink on a page or frame of a file.

    Attributes:
        image: uint8 (H, W), ink bright (255) on 0, cut out.
        left, top: where that was in the upright picture, in pixels of the image.
        scale: pixels of the picture (a PDF's points) per pixel of the image.
        page, pages: its number in the file, from 1, and how many the file has.
        document: whether the pages are to be read one after the other (a PDF).
    """

    image: Grey
    left: int = 0
    top: int = 0
    scale: float = 1.0
    page: int = 1
    pages: int = 1
    document: bool = False


def written_pages(
    source: Path | str | bytes | Image.Image | NDArray[np.generic], name: str = ""
) -> Iterator[Writing]:
    """The pages or frames of a picture that are not blank. See `load_picture`."""
    name = name or (str(source) if isinstance(source, str | Path) else "picture")
    pages: Iterator[Page]
    if isinstance(source, np.ndarray):
        if _is_ready(source):
            yield Writing(np.asarray(source, np.uint8))
            return
        shape = source.shape
        picture = from_array(source, name)
        pages = iter([Page(picture, max(shape[:2]) / max(picture.size))])
    elif isinstance(source, Image.Image):
        picture = plain(source, name)
        pages = iter([Page(picture, max(source.size) / max(picture.size))])
    else:
        pages = frames(source if isinstance(source, bytes) else content(Path(source)), name)
    for number, page in enumerate(pages, 1):
        found = _ink(page.image, name)
        if found is not None:
            yield Writing(*found, page.scale, number, page.pages, page.document)


def load_picture(
    source: Path | str | bytes | Image.Image | NDArray[np.generic], name: str = ""
) -> Grey:
    """Read a picture as ink on nothing.

    Turns it upright (EXIF), fills transparent parts, decides whether ink is darker or brighter
    than paper, levels uneven light, and cuts away what surrounds the ink. Of several pages the
    first with ink is read, and a warning tells that there are more.

    Args:
        source: a file's path, or its content; a Pillow image; an array, see `raster.from_array`.
        name: what to call it in messages; by default the path.

    Returns:
        uint8 (H, W), ink bright (255) on 0.

    Raises:
        BlankError: there is no ink.
        InkError: missing, not a picture, too large, or full of "ink".
    """
    name = name or (str(source) if isinstance(source, str | Path) else "picture")
    return first_writing(written_pages(source, name), name).image


def first_writing(writings: Iterator[Writing], name: str) -> Writing:
    """The first of them, with a warning if the file has further pages or frames.

    Raises:
        BlankError: there is none.
    """
    found = next(writings, None)
    if found is None:
        raise BlankError(f"{name}: no ink found; take a sharper picture of the expression alone")
    warn_of_further(found, name)
    return found


def warn_of_further(found: Writing, name: str) -> None:
    """A warning if this is not the only page or frame of its file."""
    if found.pages > 1:
        warnings.warn(
            f"{name}: picture {found.page} of {found.pages} in the file is read, the others are "
            "not",
            stacklevel=3,
        )


def trimmed(image: Grey) -> tuple[Grey, Affine]:
    """An image of ink on nothing (H, W) without the blank around its ink; blank as it is.

    Returns:
        It, and the map from its pixels to those of the image given (`hmer.ink.affine`).
    """
    box = Image.fromarray(image).getbbox()
    if box is None:
        return image, moved(0, 0)
    return np.asarray(Image.fromarray(image).crop(box)), moved(*box[:2])


def _is_ready(image: NDArray[np.generic]) -> bool:
    """Whether an array is ink on nothing already, as this module makes it."""
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size or image.max() < 255:
        return False
    return float((image == 0).mean()) >= _READY


_Cut = tuple[Grey, int, int]
"""Ink on nothing, and the left and top of where it was cut out."""


def _ink(page: Image.Image, name: str) -> _Cut | None:
    """The ink on a picture in L or RGB, None where there is none."""
    found = _separate(_undithered(page.convert("L")), name)
    if found is None and page.mode == "RGB":
        found = _separate(_hue(np.asarray(page, np.float32)), name)
    return found


def _undithered(page: Image.Image) -> Levels:
    """Grey levels (H, W); shades that black and white dots stand for become shades."""
    grey = np.asarray(page, np.float32)
    low, high = float(grey.min()), float(grey.max())
    if low == high or ((grey != low) & (grey != high)).any():
        return grey
    dark = grey == low
    same = [dark[1:-1, 1:-1] == side for side in (dark[:-2, 1:-1], dark[2:, 1:-1],
                                                  dark[1:-1, :-2], dark[1:-1, 2:])]  # fmt: skip
    if not same[0].size or 1 - np.logical_or.reduce(same).mean() < _DITHERED:
        return grey
    return np.asarray(page.filter(ImageFilter.GaussianBlur(_DITHER)), np.float32)


def _hue(colours: NDArray[np.float32]) -> Levels:
    """The picture (H, W, 3) along the direction in which colours differ most from the paper's."""
    away = (colours - np.median(colours, axis=(0, 1))).reshape(-1, 3)
    _, axes = np.linalg.eigh(away.T @ away)
    return np.asarray(127.5 + (away @ axes[:, -1]).reshape(colours.shape[:2]) / 2, np.float32)


def _separate(grey: Levels, name: str) -> _Cut | None:
    """What on a grey picture (H, W; 0 to 255) is ink, cut out; None where nothing is."""
    inner = _within_bars(grey)
    found = _separate_within(grey[inner], name)
    return found and (found[0], found[1] + inner[1].start, found[2] + inner[0].start)


def _within_bars(grey: Levels) -> tuple[slice, slice]:
    """The rows and columns within bars along one or two whole sides: a border, a lid's shadow.

    A bar that is as thin as the writing, and touches it, may be that of a `T` cut out closely.
    """
    usual = _median(grey)
    away = np.abs(grey - usual) > _DESK
    bars = [_bar(np.rot90(away, turns)) for turns in range(4)]
    ends = [end if sum(thick > 0 for _, thick, _ in bars) <= 2 else 0 for end, _, _ in bars]
    pen = pen_width(away[_inside(ends, grey)].astype(np.uint8) * np.uint8(255)) if any(ends) else 0
    for turns, (end, thick, apart) in enumerate(bars):
        beside = np.median(np.rot90(grey, turns)[end : end + thick + 1], axis=1)
        paper = np.abs(beside - usual) <= _UNEVEN  # after the soft edge
        seen = pen and (apart or thick > _SOLID * pen) and paper.any()
        ends[turns] = end + int(paper.argmax()) + 1 if ends[turns] and seen else 0
    return _inside(ends, grey)


def _bar(away: Mask) -> tuple[int, int, bool]:
    """The end and thickness of a bar along the upper side, and whether it is level and apart.

    Zeros where there is none. One that does not begin at the side goes from end to end.
    """
    share = away.mean(axis=1)
    full = np.flatnonzero(share[: max(4, len(share) // _NEAR_SIDE)] > _WHOLE)
    first = int(full[0]) if len(full) else 0
    thick = int((np.append(share[first:], 0) <= _WHOLE).argmax())
    end = first + thick
    if thick > len(share) / _THICKEST or (first and not away[first:end, [0, -1]].all(axis=1).any()):
        return 0, 0, False
    rest = np.asarray(away[end:].any(axis=1))  # that of `=` is as flat
    level = bool((share[first:end] > 0.999).any())
    return end, thick, level and not rest[:2].all() and rest.sum() > 3 * thick


def _inside(ends: list[int], grey: Levels) -> tuple[slice, slice]:
    """The rows and columns without so many at the top, right, bottom and left."""
    top, right, bottom, left = ends
    return slice(top, grey.shape[0] - bottom), slice(left, grey.shape[1] - right)


def _separate_within(grey: Levels, name: str) -> _Cut | None:
    """`_separate` of a picture without such bars."""
    # A bright page on a dark desk, or a dark block on a bright page; else all of the picture.
    for page in (_page(grey), _page(255 - grey)):
        found = None if page is None else _separate_on(grey, page, name)
        if found is not None:
            return found
    return _separate_on(grey, None, name)


def _separate_on(grey: Levels, page: Mask | None, name: str) -> _Cut | None:
    """`_separate` on this part of the picture, None for all of it."""
    x = y = 0
    if page is not None:
        part = _around(page)
        grey, page = grey[part], page[part]
        y, x = part[0].start, part[1].start
    strength, floor, width = _strength(grey, page)
    full, threshold = _contrast(strength, floor)
    if full < _FAINT:
        return None
    clean = without_ruling(strength, strength > max(_PALEST * threshold, floor), page)
    if clean is not None:
        strength = clean
        full, threshold = _contrast(strength, floor)
        if full < _FAINT:
            return None
    # Where nothing lies on the picture's edges, the rest of it is not looked at.
    pixels, reach = strength.size, round(_NEAR * width)
    marks = _around(strength > max(_PALEST * threshold, floor))
    if all(side.start > 0 and side.stop < n for side, n in zip(marks, strength.shape, strict=True)):
        rows, columns = (slice(max(s.start - reach - 1, 0), s.stop + reach + 1) for s in marks)
        strength = strength[rows, columns]
        x, y = x + columns.start, y + rows.start
    # Every stroke by its own contrast, that of the darkest ink next to it: a pencil's beside a
    # pen's, or the end of one that fades. What is around a dark stroke stays paper.
    palest = _PALEST * full if clean is None else _PEAK * full
    near = np.clip(_near(strength, 2 * reach + 1), palest, full)
    own = np.maximum(near * (threshold / full), floor)
    inked = strength > own
    crowded = float(inked.sum() / pixels)
    if crowded > _CROWDED:
        raise InkError(
            f"{name}: {crowded:.0%} of the picture would be ink; take one of the expression"
        )
    parts = components(inked)
    kept = _writing(parts, strength, max(palest, floor), _PEAK * full)
    written = _grown(parts.mask(kept))
    # Soft edges stay soft: half the threshold is paper, the usual ink is full.
    own = np.where(written, own, np.float32(threshold))
    high = np.where(written, near, np.float32(full))
    low = np.maximum(own / 2, np.minimum(floor, own))
    image = np.clip((strength - low) / np.maximum(high - low, 1e-6), 0, 1)
    image[_grown(parts.mask(~kept))] = 0.0
    if clean is not None:  # what is left of the lines is paler than ink
        image[~written] = 0.0
    boxes = parts.boxes[kept]
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:4].max(axis=0).tolist()
    left, top = max(left - 1, 0), max(top - 1, 0)
    cropped = np.asarray(np.rint(image[top : bottom + 1, left : right + 1] * 255), np.uint8)
    return cropped, x + left, y + top


def _around(mask: Mask) -> tuple[slice, slice]:
    """The rows and columns of a mask (H, W) that has pixels."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _strength(grey: Levels, page: Mask | None) -> tuple[Levels, float, float]:
    """The contrast of strokes (H, W; 0 to 1), that of the paper's grain, and a stroke's width."""
    paper = _paper(grey, page)
    away = _away(grey, paper, page)
    grain = 1.4826 * _median(np.abs(away if page is None else away[page]))
    floor = _NOISE * grain
    sides = np.clip(-away, 0, 1), np.clip(away, 0, 1)
    width = stroke_width(_rounded(np.maximum(*sides)), 255 * max(floor, _FAINT))
    wide = [opened(_rounded(side), width) for side in sides]
    # Ink is few pixels that differ much; squaring keeps the noise of the paper out of it.
    sums = []
    for side, ground in zip(sides, wide, strict=True):
        narrow = np.maximum(side - ground / np.float32(255), 0)
        sums.append(float((narrow[side > floor] ** 2).sum()))
    brighter = sums[1] > sums[0]
    if width and (np.ptp(paper) > 0 or max(int(ground.max()) for ground in wide) > _UNEVEN):
        inside = grey if page is None else np.where(page, grey, paper)
        away = _away(grey, without_strokes(inside, width, brighter), page)
    found = np.clip(away if brighter else -away, 0, 1)
    # A blot alone is ink.
    return (found if found.max() > max(floor, _FAINT) else sides[brighter]), floor, width


def _rounded(values: Levels) -> Grey:
    """Of 0 to 1, in 256 steps."""
    return np.asarray(np.rint(values * 255), np.uint8)


def _near(strength: Levels, size: int) -> Levels:
    """The largest contrast (H, W) in the square of this odd size around each pixel."""
    return np.asarray(largest(_rounded(strength), size) / 255, np.float32)


def _away(grey: Levels, paper: Levels, page: Mask | None) -> Levels:
    """How much brighter than the paper each pixel (H, W) is, or darker, -1 to 1; 0 off the page.

    Both by the same measure: on paper near white, brighter grain is no contrast. In the shade ink
    is darker in the same proportion; on a dark ground light adds less.
    """
    usual = float(np.median(paper))
    light = paper / usual if usual > _DARK else np.ones_like(paper)
    away = (grey - paper) / np.maximum(light * max(usual, 255.0 - usual), 1.0)
    if page is not None:
        away[~page] = 0.0
    return np.asarray(away, np.float32)


def _contrast(strength: Levels, floor: float) -> tuple[float, float]:
    """The usual contrast of ink (0 for none), and the least."""
    threshold = max(_otsu(strength), floor)
    inked = strength[strength > threshold]
    full = float(np.median(inked)) if len(inked) else 0.0
    if 0 < full < _PALE:  # lines of the paper, perhaps, and far less of something far darker
        darker = _otsu(inked)
        dark = strength > darker
        far = _FAR if full >= _FAINT else _FAINTER  # or there would be nothing
        if dark.any() and np.median(strength[dark]) > max(far * full, _FAINT):
            boxes = component_boxes(dark)
            if (boxes[:, 2:4] - boxes[:, :2]).max() > max(strength.shape) / _NEAR_SIDE:
                return float(np.median(strength[dark])), darker
    return full, threshold


def _writing(parts: Components, strength: Levels, peak: float, dark: float) -> Mask:
    """Which components are written (n,): neither grain of the paper, nor dirt, nor its edge.

    One without a pixel of contrast `peak` is grain. Those that reach `dark` tell the pen and the
    size: what is left of pale lines may be many.
    """
    boxes = parts.boxes
    sizes = boxes[:, 2:4] - boxes[:, :2]
    peaks = parts.peaks(strength)
    kept = (peaks >= peak) & ~_edges(parts)
    kept &= ~_frames(parts, kept)
    if kept.sum() > 1:
        # Specks as wide as the pen say nothing of the symbols' size, however many there are.
        solid = kept & (peaks >= dark)
        if solid.any():
            kept &= solid | ~_at_sides(boxes, parts.shape)
        pen = pen_width(_image(parts, solid if solid.any() else kept))
        large = kept & (boxes[:, 4] > 3) & (sizes.max(axis=1) > 2 * pen)
        telling = large & solid if (large & solid).any() else large
        unit = typical_size(sizes[telling].astype(np.float64)) if telling.any() else 0.0
        clean = large & (sizes.max(axis=1) >= np.where(solid, _SPECK, _PALE_SPECK) * unit)
        if unit > 8 and clean.any():
            # A few of them are dots; many are dirt, or dotted paper.
            pen = pen_width(_image(parts, clean))
            dots = kept & ~clean & (sizes.max(axis=1) >= _DOT * pen)
            few = dots.sum() <= max(_DOTS, clean.sum() / 2)
            kept = clean | (dots & solid) if few else clean
    return kept if kept.any() else np.ones(len(boxes), bool)


def _contact(parts: Components) -> NDArray[np.float64]:
    """Along which share of each side of the picture the components lie: (n, 4)."""
    height, width = parts.shape
    contact = np.zeros((len(parts.boxes), 4))
    length = parts.ends - parts.starts
    for side, runs, share in (
        (0, parts.rows == 0, length / width),
        (1, parts.rows == height - 1, length / width),
        (2, parts.starts == 0, np.full(len(length), 1 / height)),
        (3, parts.ends == width, np.full(len(length), 1 / height)),
    ):
        np.add.at(contact[:, side], parts.labels[runs], share[runs])
    return contact


def _at_sides(boxes: NDArray[np.int64], shape: tuple[int, int]) -> Mask:
    """Which of the boxes (n, 5) touch a side of the picture."""
    return np.asarray(((boxes[:, :2] == 0) | (boxes[:, 2:4] == shape[::-1])).any(axis=1))


def _edges(parts: Components) -> Mask:
    """Which components are what lies beside the page: along a whole side, or over a corner."""
    contact = _contact(parts)
    whole = (contact > 0.95).any(axis=1)
    corner = (contact[:, :2].max(axis=1) > 0.08) & (contact[:, 2:].max(axis=1) > 0.08)
    # Writing that is cut out closely lies over corners, too, and is as thin as the rest.
    edges = whole | corner
    if not edges.all():
        pen = pen_width(_image(parts, ~edges))
        for number in np.flatnonzero(corner & ~whole).tolist():
            edges[number] = pen_width(_image(parts, np.arange(len(edges)) == number)) > _SOLID * pen
    return np.asarray(edges)


def _image(parts: Components, chosen: Mask) -> Grey:
    """The components chosen, 255 on 0."""
    return parts.mask(chosen).astype(np.uint8) * np.uint8(255)


def _frames(parts: Components, kept: Mask) -> Mask:
    """Which components are boxes drawn around everything else: ink along all four sides only."""
    found = np.zeros(len(kept), bool)
    while (kept & ~found).sum() > 1:
        left = np.flatnonzero(kept & ~found)
        boxes = parts.boxes[left]
        outer = int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).argmax())
        x, y, right, bottom = boxes[outer, :4].tolist()
        around = (boxes[:, :2] >= (x, y)).all() and (boxes[:, 2:4] <= (right, bottom)).all()
        band = max(2, round(_FRAME * max(right - x, bottom - y)))
        if not around or min(right - x, bottom - y) < 3 * band:
            break
        found[left[outer]] = True
        box = parts.mask(found)[y:bottom, x:right]
        sides = (box[:band].any(0), box[-band:].any(0), box[:, :band].any(1), box[:, -band:].any(1))
        if min(side.mean() for side in sides) < 0.9 or box[band:-band, band:-band].mean() > 0.01:
            found[left[outer]] = False
            break
    return found


def _grown(mask: Mask) -> Mask:
    """The mask and the pixels next to it."""
    return largest(mask.astype(np.uint8), 5) > 0


def _page(grey: Levels) -> Mask | None:
    """The page (H, W) where a bright one lies on something dark with sharp edges, else None."""
    tile = max(grey.shape) // 48
    if tile < 4 or min(grey.shape) < 8 * tile:
        return None
    small = _tiles(grey, tile)
    found = _on_desk(grey, small, tile)
    return _askew(grey, small, tile) if found is None else found


def _on_desk(grey: Levels, small: Levels, tile: int) -> Mask | None:
    """The page (H, W) where the medians of tiles show a dark desk beside it."""
    bright = small > 255 * _otsu(small / 255)
    parts = components(~bright)
    beside = parts.mask(_edges(parts))
    if bright.all() or not beside.any() or beside.mean() > 0.9:
        return None
    gap = float(small[bright].mean() - small[beside].mean())
    # What is as dark and touches a side is more of the desk.
    outer = _at_sides(parts.boxes, parts.shape)
    alike = parts.peaks(small[beside].mean() + gap / 4 - small) > 0
    beside |= parts.mask(outer & alike)
    where = np.argwhere(~beside)
    (top, left), (bottom, right) = where.min(axis=0), where.max(axis=0) + 1
    solid = len(where) / ((bottom - top) * (right - left))
    # The edge of a page is sharp, that of a shadow is not; strokes do not fill their box.
    steps = [np.abs(np.diff(small, axis=i))[np.diff(beside, axis=i)] for i in (0, 1)]
    sharp = float(np.quantile(np.concatenate(steps), 0.2)) > gap / 4
    if gap < _DESK or solid < 0.6 or not sharp:
        return None
    # Tiles that are half covered, and the page's own rim, are left out.
    inner = Image.fromarray(np.uint8(~beside) * 255).filter(ImageFilter.MinFilter(3))
    # On a desk, but for the page's rim, there is no writing. In a shadow, or beside one, there is.
    desk = np.asarray(inner.filter(ImageFilter.MaxFilter(5))) == 0
    away = np.maximum(_tiles(grey, tile, np.max) - small, small - _tiles(grey, tile, np.min))
    if (desk & (away > _DESK)).sum() > _MARKED * desk.sum():
        return None
    full, around = (_spread(mask, tile, grey.shape) for mask in (np.asarray(inner) > 0, beside))
    # Where the page is askew, the desk ends in wedges that are narrower than a tile.
    dark = _dark_rim(grey, small[bright].mean() - gap / 2, tile, around)
    wedges = (_contact(dark) > _WEDGE).any(axis=1)
    full &= ~_grown(dark.mask(np.asarray(wedges)))
    return full if full.any() else None


def _askew(grey: Levels, small: Levels, tile: int) -> Mask | None:
    """The page (H, W) where all that is seen of a dark desk are wedges along its sides."""
    usual = float(np.median(small))
    sides = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    desk = sides[sides < usual - _DESK]
    if len(desk) < _WEDGE * len(sides):
        return None
    dark = _dark_rim(grey, (usual + float(np.median(desk))) / 2, tile)
    wedges = _contact(dark) > _WEDGE
    if wedges.any(axis=0).sum() < 3:
        return None
    return ~_grown(dark.mask(np.asarray(wedges.any(axis=1))))


def _dark_rim(grey: Levels, level: float, tile: int, around: Mask | None = None) -> Components:
    """What is darker than this level near the sides of a picture, and `around` the page."""
    rim = np.ones(grey.shape, bool)
    rim[3 * tile : -3 * tile, 3 * tile : -3 * tile] = False
    return components((grey < level) & (rim if around is None else rim | around))


def _spread(tiles: Mask, tile: int, shape: tuple[int, ...]) -> Mask:
    """A mask of tiles as one of pixels; what they do not cover is False."""
    full = np.zeros(shape, bool)
    spread = np.repeat(np.repeat(tiles, tile, axis=0), tile, axis=1)
    full[: spread.shape[0], : spread.shape[1]] = spread
    return full


def _tiles(
    grey: Levels, tile: int, measure: Callable[..., NDArray[np.floating]] = np.median
) -> Levels:
    """The median, or another measure, of each square of `tile` pixels."""
    rows, columns = (max(1, side // tile) for side in grey.shape)
    tiles = grey[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile)
    if measure is np.median:
        step = tile // _ENOUGH | 1  # odd, since patterns of dots repeat every 2, 4 or 8 pixels
        tiles = tiles[:, ::step, :, ::step]
    return np.asarray(measure(tiles, axis=(1, 3)), np.float32)


def _median(values: Levels) -> float:
    """The median, of pixels spread over all of a large picture."""
    step = values.size // _ENOUGH**4 | 1
    return float(np.median(values.ravel()[::step]))


def _paper(grey: Levels, page: Mask | None) -> Levels:
    """The grey level of the paper at every pixel: one for all where light is even."""
    usual = _median(grey if page is None else grey[page])
    level = np.full_like(grey, usual)
    tile = min(max(grey.shape) // 24, *grey.shape)
    if tile < 8:
        return level
    if page is not None:
        grey = np.where(page, grey, np.float32(usual))
    # The median of each tile, of all tiles around it: handwriting covers less than half of both.
    small = _tiles(grey, tile)
    light = Image.fromarray(small.astype(np.uint8)).filter(ImageFilter.MedianFilter(5))
    if np.ptp(np.asarray(light)) < _UNEVEN:
        return level
    full = light.resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(full, np.float32)


def _otsu(values: NDArray[np.floating]) -> float:
    """The threshold that parts the values best (Otsu 1979: largest between-class variance)."""
    counts = np.bincount(np.clip(values.ravel() * 256, 0, 255).astype(np.uint8), minlength=256)
    edges = np.arange(257) / 256
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
