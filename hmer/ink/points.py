"""The text of a trace as points: explicit values and differences, of any channels.

After the W3C's Recommendation of InkML (2011), 3.3: prefixes `!`, `'` and `"` for values, first and
second differences, hexadecimal numbers, booleans, and the wildcards `*` (as before) and `?`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError

MAX_STROKE_POINTS = 50_000

_SPARE = 8  # values of a point beyond its channels; many more mean that commas are missing
_VALUE = re.compile(
    r"""\s*(['"!]?)\s*
    ([+-]?\s*(?:\#[0-9A-Fa-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|[TF*?])""",
    re.VERBOSE,
)
_STARTS_ANEW = frozenset("'\"!+-#*?TF \t\r\n")
_NO_POINTS = (
    "a trace is not a list of points 'x y, x y, ...' of plain numbers: put a blank between x and "
    "y, a comma after each point (SVG has it the other way round), and a point in decimals"
)


@dataclass(frozen=True, slots=True)
class Format:
    """What the values of a point are.

    Attributes:
        x, y: their places among the values; -1: the format has no such channel.
        regular: values that each point has.
        known: regular and intermittent channels; 0 where no format says.
        affine: what x and y are mapped with, the first two rows of a matrix: axes that point the
            other way, the ratio of the resolutions, the transform to the canvas.
        guessed: the file has several formats, and nothing says that this is the one.
        tip: the place of the tip switch, or of the force; -1: the format has neither.
        force: whether it is the force: 0 is no ink where the trace has others.
    """

    x: int = 0
    y: int = 1
    regular: int = 2
    known: int = 0
    affine: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    guessed: bool = False
    tip: int = -1
    force: bool = False


def read_points(text: str, form: Format, name: str) -> NDArray[np.float64]:
    """Points (n, 2) of a trace: explicit values and differences, mixed as one likes.

    Raises:
        InkError: they are not points of this format, or more than `MAX_STROKE_POINTS`.
    """
    rows = [row for row in text.split(",") if row and not row.isspace()]
    if len(rows) > MAX_STROKE_POINTS:
        raise InkError(
            f"{name}: a stroke of {len(rows)} points is more than {MAX_STROKE_POINTS}; resample it"
        )
    if not rows:
        return np.empty((0, 2))
    cells = [row.split() for row in rows]
    counts, values = set(map(len, cells)), None
    try:
        points = np.array([[row[form.x], row[form.y]] for row in cells], np.float64)
    except (ValueError, IndexError):
        values = [_values(row, name) for row in rows]
        counts = set(map(len, values))
    _check_counts(min(counts), max(counts), form, name)
    if values is not None:
        points = _decoded([(row[form.x], row[form.y]) for row in values], name)
    affine = np.reshape(form.affine, (2, 3))
    with np.errstate(invalid="ignore"):  # what is not finite is told of all traces at once
        mapped: NDArray[np.float64] = points @ affine[:, :2].T + affine[:, 2]
    return mapped


def touching(text: str, form: Format, count: int) -> list[tuple[int, int]]:
    """The first point and the one after the last of each run in which the pen touches.

    By the tip switch or the force of the points of a trace, `count` as they were read; without
    either they all do, and where the force is 0 throughout or is told in differences.
    """
    rows = [row.split() for row in text.split(",") if row and not row.isspace()]
    if form.tip < 0 or len(rows) != count or (form.force and re.search("['\"]", text)):
        return [(0, count)]
    down = [True]
    for row in rows:
        said = row[form.tip] if len(row) > form.tip else "*"
        up = said.upper() in ("F", "FALSE") or not said.strip("0.")
        down.append(down[-1] if said in ("*", "?") else not up)
    if form.force and not any(down[1:]):
        return [(0, count)]
    bounds = np.flatnonzero(np.diff(down[1:], prepend=False, append=False))
    return [(first, end) for first, end in bounds.reshape(-1, 2).tolist()]


def _check_counts(least: int, most: int, form: Format, name: str) -> None:
    """Refuse points that lack values: then nothing says which value is which.

    A whole trace may lack the last channels; some of CROHME's lack the pressure they announce.
    """
    wanted = max(form.x, form.y) + 1
    if least < wanted and form.regular == 2:
        raise InkError(f"{name}: {_NO_POINTS}")
    if least < wanted or least < min(form.regular, most):
        raise InkError(
            f"{name}: a point has {least} values where the trace format has {form.regular} "
            "channels; write the ink again, or correct the format"
        )
    if most > max(form.known, 2) + _SPARE:
        raise InkError(f"{name}: a point has {most} values; {_NO_POINTS}")
    if form.guessed and most > 2:
        raise InkError(
            f"{name}: the file has several trace formats, and a trace does not say which is its "
            "own; give it a contextRef"
        )


def _values(row: str, name: str) -> list[tuple[str, str]]:
    """The values of a point, each with its prefix; they may touch: `1'2"-3`."""
    found: list[tuple[str, str]] = []
    at, end = 0, len(row.rstrip())
    while at < end:
        match = _VALUE.match(row, at)
        touching = at > 0 and row[at] not in _STARTS_ANEW and row[at - 1] not in "TF*?"
        if match is None or touching:
            raise InkError(f"{name}: {_NO_POINTS}")
        found.append((match[1], "".join(match[2].split())))
        at = match.end()
    return found


def _decoded(
    rows: Sequence[tuple[tuple[str, str], tuple[str, str]]], name: str
) -> NDArray[np.float64]:
    """Points of x and y with their prefixes; a point with an unknown coordinate (`?`) is none."""
    points = []
    axes = (_Axis(), _Axis())
    try:
        for row in rows:
            point = [axis.take(*cell) for axis, cell in zip(axes, row, strict=True)]
            if not any(map(math.isnan, point)):
                points.append(point)
    except (ValueError, OverflowError):
        raise InkError(f"{name}: {_NO_POINTS}") from None
    return np.array(points, np.float64).reshape(-1, 2)


class _Axis:
    """The state of one channel: explicit values, differences, or differences of these."""

    def __init__(self) -> None:
        self.order = "!"
        self.value: float | None = None
        self.velocity = 0.0
        self.number = 0.0

    def take(self, prefix: str, text: str) -> float:
        """The next value; NaN if unknown. Raises ValueError where it cannot be."""
        if text == "?":
            return math.nan
        self.order = prefix or self.order
        if text != "*":
            digits = text.lstrip("+-")
            number = float(int(digits[1:], 16)) if digits[0] == "#" else float(digits)
            self.number = -number if text[0] == "-" else number
        elif self.order == "!" and self.value is not None:
            self.number = self.value  # a wildcard: as before, be it value or difference
        last = self.value
        if self.order == "!" and (last is not None or text != "*"):
            self.velocity = 0.0 if last is None else self.number - last
            self.value = self.number
            return self.value
        if last is None:
            raise ValueError("a difference from nothing")
        self.velocity = self.number if self.order == "'" else self.velocity + self.number
        self.value = last + self.velocity
        return self.value
