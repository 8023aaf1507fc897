"""Finding and removing the printed lines of ruled and squared paper (Hough transform).

A written fraction bar, minus or absolute bar is a line, too. So a line is printed only if it runs
from one edge of the paper to the other, and either is one of several at equal distances, or is
clearly paler or thinner than the writing, or is upright on ruled paper and beside all writing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.ink.blobs import pen_width
from hmer.ink.components import component_boxes, components
from hmer.ink.wide import largest

Levels = NDArray[np.float32]
Mask = NDArray[np.bool_]

_COARSE = 400  # pixels of the longer side on which lines are sought
_STEEPEST = 0.21  # slope of a line, 12 degrees; paper that is more askew is not recognised
_FAN = 0.7  # difference of slope between the first and the last line, at most
_STEEPEST_OF_FAN = 0.5
_CELLS = 48  # into which a line is cut: some ink must be in most of them
_COVERED = 0.8
_DENSE = 0.4  # of the rows filled so: lines across fill their cells, which must be covered
_DASHED = 0.5  # of such a cell's columns are ink, at least
_SOLID = 0.65  # of a line's own pixels
_INSIDE = 0.25  # of a line that leaves at the side lies in the picture, at least
_WIDEST = 4  # rows of the coarse picture between a line's middle and its edge
_REPEATED = 4  # lines at equal distances are printed, if they go from edge to edge
_MANY = 6  # or else so many
_REGULAR = 0.15  # of the distance between lines, by which one may be off
_OTHERS = 0.25  # of them may lie elsewhere
_DARK = 0.75  # of the darkest ink's contrast; what is paler everywhere may be lines alone
_ALONE = 0.3  # of all ink is pale and not the soft edge of darker ink: lines are sought in it first
_PALER = 0.7  # of the contrast, or of the width, of the writing: a single line below is printed
_EDGE = 3  # pixels
_CROSSING = 12  # pixels: length of what is left where two lines cross, at most
_THIN = 0.3  # of the columns are surely blank beside the line
_BLANK = 0.04  # of its length, that a single line is longer than the writing, at both ends
_OUTER = 0.02  # of the writing lies on the other side of a margin's line, at most
_STRIPS = 24  # along a line, whose place is sought in each: paper bends


@dataclass(frozen=True, slots=True)
class _Line:
    """A nearly horizontal line: y = offset + slope x, and its width, in pixels."""

    offset: float
    slope: float
    reach: float


def without_ruling(strength: Levels, inked: Mask, page: Mask | None = None) -> Levels | None:
    """The picture without its printed lines; None where it has none.

    Args:
        strength: contrast of each pixel to the paper (H, W), 0 to 1.
        inked: which pixels are ink, or line.
        page: where the page is whose edges are seen; by default it is larger than the picture.
    """
    seen = page is not None
    page = np.ones(inked.shape, bool) if page is None else page
    cleaned, beside, ruled = strength, np.zeros(inked.shape, bool), False
    dark = _darker(strength, inked)
    for turned, again in ((False, False), (True, False), (True, True)):
        if again and not ruled:  # but ruled paper may have a margin among its lines
            break
        levels, mask = (cleaned.T, inked.T) if turned else (cleaned, inked)
        paper = page.T if turned else page
        writing = None if dark is None else dark.T if turned else dark
        for kept in (None,) if writing is None else (writing, None):
            sought = mask if kept is None else mask & ~kept
            alike = _lines(sought, paper)
            alike = max(alike, _fan(sought, len(alike)), key=len)
            erased, around, lines = _bands(levels, sought, paper, _continued(alike, mask.shape))
            if kept is not None:
                erased &= ~kept
            # Nobody writes a bar from one edge of a page to the other.
            margin = turned and (ruled or seen) and kept is None
            held = around if seen else paper
            if (erased & mask).any() and _printed(levels, mask, held, erased, lines, margin):
                found = np.where(erased, np.float32(0), levels)
                cleaned = found.T if turned else found
                beside |= around.T if turned else around
                inked = inked & (cleaned > 0)
                ruled |= len(lines) >= _REPEATED
                break
    if cleaned is strength:
        return None
    # What is left of the lines: at the picture's edges, and where they cross one another.
    cleaned[:_EDGE] = cleaned[-_EDGE:] = cleaned[:, :_EDGE] = cleaned[:, -_EDGE:] = 0
    parts = components(inked & (cleaned > 0))
    off = np.cumsum(np.pad(~beside, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    written = np.bincount(
        parts.labels,
        off[parts.rows, parts.ends] - off[parts.rows, parts.starts],
        minlength=len(parts.boxes),
    )
    sizes = (parts.boxes[:, 2:4] - parts.boxes[:, :2]).max(axis=1)
    cleaned[parts.mask((written == 0) & (sizes <= _CROSSING))] = 0
    return cleaned


def _darker(strength: Levels, inked: Mask) -> Mask | None:
    """The writing (H, W), where all that is paler may be lines; None where that cannot be told."""
    values = strength[inked]
    if not len(values):
        return None
    dark = inked & (strength > _DARK * float(np.quantile(values, 0.98)))
    near = largest(dark.astype(np.uint8), 5) > 0  # with the soft edges
    return dark if (inked & ~near).sum() >= _ALONE * len(values) else None


def _lines(mask: Mask, page: Mask) -> list[_Line]:
    """Nearly horizontal lines from edge to edge of the page, all of one slope."""
    step = max(1, -(-max(mask.shape) // _COARSE))
    height, width = (side // step for side in mask.shape)
    if height < 8 or width < _CELLS:
        return []
    cut = mask[: height * step, : width * step]
    coarse = cut.reshape(height, step, width, step).any(axis=(1, 3))
    paper = page[step // 2 :: step, step // 2 :: step]
    y, x = np.nonzero(coarse)
    cell = x * _CELLS // width
    if len(np.unique(cell)) < _COVERED * _CELLS:
        return []
    shift = round(_STEEPEST * width) + 1
    edges = (np.arange(_CELLS) + 0.5) * width / _CELLS
    middles = edges.astype(np.int64)
    count = height + 2 * shift

    def steepest(whole: bool) -> tuple[float, float, NDArray[np.float64]]:
        """Score, slope, and the share of its cells that each row fills (h,).

        Some ink fills a cell; with `whole`, ink in half of its columns.
        """
        best: tuple[float, float, NDArray[np.float64]] = (0.0, 0.0, np.zeros(0))
        places = x if whole else cell
        starts = np.arange(_CELLS) * width // _CELLS
        for slope in np.arange(-_STEEPEST, _STEEPEST, 1.0 / width):
            rows = np.floor(y - slope * x).astype(np.int64) + shift
            hit = np.zeros((count + 2, width if whole else _CELLS), bool)
            hit[rows, places] = True
            hit = hit[:-2] | hit[1:-1] | hit[2:]  # a line may lie between rows, or bend
            if whole:
                sums = np.add.reduceat(hit, starts, axis=1, dtype=np.int64)
                hit = sums >= _DASHED * np.diff(starts, append=width)
            at = np.arange(count)[:, None] - shift + slope * edges
            inside = (at >= 0) & (at < height)
            inside &= paper[at.clip(0, height - 1).astype(np.int64), middles]
            filled = (hit & inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
            filled[inside.mean(axis=1) < _INSIDE] = 0.0
            score = float((filled[filled > _COVERED] ** 4).sum())
            if score > best[0]:
                best = score, float(slope), filled
        return best

    _, slope, filled = steepest(False)
    if (filled > _COVERED).sum() > _DENSE * height:
        _, slope, filled = steepest(True)
    lines = []
    row = 0
    while row < len(filled):
        if filled[row] <= _COVERED:
            row += 1
            continue
        end = row
        while end < len(filled) and filled[end] > _COVERED:
            end += 1
        # Letters on a line fill rows beside it, too; the line is where most cells are filled.
        best_rows = row + np.flatnonzero(filled[row:end] == filled[row:end].max())
        middle = (best_rows[0] + best_rows[-1]) / 2 + 1.5 - shift
        lines.append(_Line(middle * step, slope, min((end - row) / 2 + 1, _WIDEST) * step))
        row = end
    return lines


def _fan(mask: Mask, least: int) -> list[_Line]:
    """Over so many nearly horizontal lines that meet in one point: paper seen at an angle.

    Of lines through a point, the slope grows in proportion to the offset.
    """
    step = max(1, -(-max(mask.shape) // _COARSE))
    height, width = (side // step for side in mask.shape)
    if height < 8 or width < _CELLS:
        return []
    cut = mask[: height * step, : width * step]
    coarse = np.asarray(cut.reshape(height, step, width, step).any(axis=(1, 3)))
    ends = [len(component_boxes(rim)) for rim in (coarse[:, :3], coarse[:, -3:])]
    if min(ends) < _REPEATED or max(ends) <= least:
        return []
    near = np.pad(coarse, ((1, 1), (0, 0)))
    starts = np.arange(_CELLS) * width // _CELLS
    sums = np.add.reduceat(near[:-2] | near[1:-1] | near[2:], starts, axis=1, dtype=np.int64)
    covered = sums >= _DASHED * np.diff(starts, append=width)
    cells, rows = np.arange(_CELLS), np.arange(height, dtype=np.float32)[:, None]
    middles = ((cells + 0.5) * width / _CELLS - width / 2).astype(np.float32)
    pad = int(_STEEPEST_OF_FAN * width / 2) + 2
    # One sum counts both: cells that are ink by _CELLS + 1, those in the picture by 1.
    worth = np.pad(covered * np.int32(_CELLS + 1) + np.int32(1), ((pad, pad), (0, 0))).ravel()

    def filled(slope: float, fan: float) -> NDArray[np.float64]:
        """The share of its cells that the line at each row (height,) fills."""
        slopes = slope + fan * (rows / height - 0.5)
        at = (rows + slopes * middles + (pad + 0.5)).astype(np.int32)
        hit, inside = np.divmod(worth[at * _CELLS + cells].sum(axis=1), _CELLS + 1)
        return np.where(inside < _INSIDE * _CELLS, 0.0, hit / np.maximum(inside, 1))

    best, slope, fan = 0.0, 0.0, 0.0
    for wide in np.arange(-_FAN, _FAN, 4.0 / width).tolist():
        for tilt in np.arange(-_STEEPEST, _STEEPEST, 2.0 / width).tolist():
            if abs(tilt) + abs(wide) / 2 > _STEEPEST_OF_FAN:
                continue
            share = filled(tilt, wide)
            score = float((share[share > _COVERED] ** 4).sum())
            if score > best:
                best, slope, fan = score, tilt, wide
    share = filled(slope, fan)
    lines = []
    bounds = np.flatnonzero(np.diff(share > _COVERED, prepend=False, append=False))
    for row, end in bounds.reshape(-1, 2).tolist():
        top = row + np.flatnonzero(share[row:end] == share[row:end].max())
        middle = float(top[0] + top[-1]) / 2
        own = slope + fan * (middle / height - 0.5)
        reach = min((end - row) / 2 + 1, _WIDEST) * step
        lines.append(_Line((middle + 0.5 - own * width / 2) * step, own, reach))
    return lines


def _continued(lines: list[_Line], shape: tuple[int, ...]) -> list[_Line]:
    """Lines at equal distances, and those at the picture's edges that are mostly outside of it."""
    offsets = np.array([line.offset for line in lines])
    if len(lines) < 3 or not _regular(offsets):
        return lines
    gaps = np.diff(offsets)
    gap = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    more = []
    for edge, before, step in ((lines[0], lines[1], -gap), (lines[-1], lines[-2], gap)):
        offset, slope = edge.offset + step, 2 * edge.slope - before.slope
        while (
            max(offset, offset + slope * shape[1]) >= 0
            and min(offset, offset + slope * shape[1]) < shape[0]
        ):
            more.append(_Line(offset, slope, edge.reach))
            offset += step
            slope += edge.slope - before.slope
    return [*lines, *more]


def _bands(
    levels: Levels, mask: Mask, page: Mask, lines: list[_Line]
) -> tuple[Mask, Mask, list[_Line]]:
    """The pixels (H, W) to be erased; all that are near a line; and the lines.

    Where ink crosses a line nothing is erased.

    What is not ink nearly all along is a row of letters, and no line.
    """
    height, width = mask.shape
    columns = np.arange(width)
    found, beside = np.zeros(mask.shape, bool), np.zeros(mask.shape, bool)
    kept = []
    places = np.sort([line.offset for line in lines])
    apart = float(np.diff(places).min()) if len(lines) > 1 else float(height)
    for line in lines:
        reach = max(2, min(int(np.ceil(line.reach)) + 2, int(apart / 2) - 1))
        centre = np.rint(line.offset + line.slope * columns).astype(np.int64)
        offsets = np.arange(-2 * reach, 2 * reach + 1)
        rows = centre + offsets[:, None]
        inside = (rows >= 0) & (rows < height)
        window = mask[np.clip(rows, 0, height - 1), columns] & inside
        # Where the line lies in each strip.
        strips = np.linspace(0, width, min(_STRIPS, max(1, width // 16)) + 1).astype(np.int64)
        profile = np.add.reduceat(window, strips[:-1], axis=1, dtype=np.int64) / np.diff(strips)
        near = profile[reach : 3 * reach + 1]
        smooth = near + 0.5 * (np.roll(near, 1, 0) + np.roll(near, -1, 0))
        seen = np.flatnonzero(smooth.max(axis=0) > 0.5)
        if not len(seen):
            continue
        place = np.interp(np.arange(len(strips) - 1), seen, smooth.argmax(axis=0)[seen])
        padded = np.pad(place, 2, mode="edge")
        place = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
        at = np.interp(columns, (strips[:-1] + strips[1:]) / 2, place)
        track = centre + np.rint(at).astype(np.int64) - reach
        rows = track + np.arange(-2 * reach, 2 * reach + 1)[:, None]
        inside = (rows >= 0) & (rows < height)
        inside &= page[np.clip(rows, 0, height - 1), columns]
        around = mask[np.clip(rows, 0, height - 1), columns] & inside
        # The line itself: as far as ink goes on from its middle in most columns. Where it goes on
        # further, something written crosses the line, or lies on it.
        middle = int(around[reach : 3 * reach + 1].mean(axis=1).argmax()) + reach
        if around[middle].sum() < _SOLID * inside[middle].sum():
            continue
        solid = around[:, around[middle]]
        up = np.logical_and.accumulate(solid[middle::-1]).sum(axis=0)
        down = np.logical_and.accumulate(solid[middle:]).sum(axis=0)
        if not len(up):
            continue
        top = max(0, middle - int(np.quantile(up, _THIN)) - 1)
        bottom = min(len(rows) - 1, middle + int(np.quantile(down, _THIN)) + 1)
        written = around[top : middle + 1].all(axis=0) | around[middle : bottom + 1].all(axis=0)
        band = inside[top : bottom + 1] & ~written
        y = rows[top : bottom + 1][band]
        x = np.broadcast_to(columns, band.shape)[band]
        # Ink along a paler line is darker than the line, whose edges are paler than its middle.
        inked = band & around[top : bottom + 1]
        on = np.where(inked, levels[np.clip(rows[top : bottom + 1], 0, height - 1), columns], 0)
        on = on.max(axis=0)[inked.any(axis=0)]
        pale = levels[y, x] <= max(1.6 * float(np.median(on)) if len(on) else 0.0, 0.1)
        found[y[pale], x[pale]] = True
        for row in range(max(0, top - 1), min(len(rows), bottom + 2)):
            beside[rows[row][inside[row]], columns[inside[row]]] = True
        kept.append(line)
    return found, beside, kept


def _printed(
    levels: Levels, mask: Mask, held: Mask, erased: Mask, lines: list[_Line], margin: bool
) -> bool:
    """Whether these are lines of the paper, not written ones; with `margin`, perhaps that.

    Those of the paper reach as far as `held`.
    """
    rest = mask & ~erased
    if not rest.any():
        return len(lines) >= _REPEATED
    on = erased & mask
    reached = np.flatnonzero(on.any(axis=0))
    edge = 0.01 * mask.shape[1] + 1
    could = np.flatnonzero(held.any(axis=0))
    across = reached[0] <= could[0] + edge and reached[-1] >= could[-1] - edge
    repeated = len(lines) >= (_REPEATED if across else _MANY)
    if repeated and _mostly_regular(np.array([line.offset for line in lines])):
        return True
    if across and margin:  # What is written so has something on both sides, or is a pair.
        middle = mask.shape[1] / 2
        at = [line.offset + line.slope * middle for line in lines]
        rows = (np.where(rest, levels, 0) ** 2).sum(axis=1)  # with little of the paper's grain
        outer = min(rows[: max(0, int(max(at)))].sum(), rows[max(0, int(min(at))) :].sum())
        if outer <= _OUTER * rows.sum():
            return True
    # Single ones: only beside writing that ends before they do, or they may be letters' strokes.
    ends = np.flatnonzero(rest.any(axis=0))
    edge = _BLANK * mask.shape[1]
    if not across or ends[0] < edge or ends[-1] > mask.shape[1] - 1 - edge:
        return False
    paler = float(np.median(levels[on])) < _PALER * float(np.median(levels[rest]))
    width = on.sum() / (len(lines) * mask.shape[1])
    thinner = width < _PALER * pen_width(rest.astype(np.uint8) * np.uint8(255))
    return paler or thinner


def _mostly_regular(offsets: NDArray[np.float64]) -> bool:
    """Whether lines are, but for a few of another kind among them: a margin, a header's line."""
    least = len(offsets) - int(_OTHERS * len(offsets))
    while not _regular(offsets):
        if len(offsets) <= max(least, _REPEATED):
            return False
        without = [np.delete(offsets, number) for number in range(len(offsets))]
        offsets = max(without, key=_regularity)
    return True


def _regular(offsets: NDArray[np.float64]) -> bool:
    """Whether lines lie at multiples of one distance: some may be missing."""
    return _regularity(offsets) >= 0.8


def _regularity(offsets: NDArray[np.float64]) -> float:
    """The share of the distances between lines that are multiples of one."""
    gaps = np.diff(np.sort(offsets))
    step = float(gaps.min())
    if step < 6:
        return 0.0
    steps = gaps / float(np.median(gaps[gaps < 1.5 * step]))
    off = np.abs(steps - np.rint(steps))
    return float((off < _REGULAR).mean())
