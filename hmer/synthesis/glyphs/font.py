"""Vector font of glyphs drawn for this project, the way hands write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
from HersheyFonts import HersheyFonts
from numpy.typing import NDArray

DRAWN: Mapping[str, tuple[str, ...]] = {
    "0": ("30,125 10,102 4,54 14,8 34,0 54,24 60,76 48,114 28,126 20,122",),
    "1": ("8,98 30,125! 29,0", "8,96 32,125! 31,0 | 8,0 54,1"),
    "2": (
        "6,98 14,118 34,126 54,112 54,88 36,54 4,2! 34,4 64,2",
        "6,100 20,122 42,124 54,102 44,66 18,14 5,4 12,16 26,12 46,0 64,8",
    ),
    "3": (
        "6,112 26,126 48,116 50,92 26,70! 50,60 58,32 38,2 16,0 2,16",
        "6,124 54,124! 28,74! 52,66 60,34 40,2 14,-2 0,16",
    ),
    "4": (
        "24,125 4,50! 64,48 | 46,84 43,-5",
        "48,0 48,122! 2,44! 66,44",
        "16,118 12,66 34,54 50,62 | 54,122 46,0",
    ),
    "5": ("12,122 8,72! 30,78 54,62 56,28 34,2 8,0 0,12 | 12,122 52,124",),
    "6": ("48,124 20,96 4,46 10,8 34,0 54,18 54,44 36,60 14,46 8,30",),
    "7": ("4,120 54,122! 40,70 24,0 | 14,62 56,66", "2,110 6,122! 56,121! 36,66 26,0"),
    "8": (
        "50,104 32,124 12,110 14,86 32,66 52,44 52,14 30,0 8,14 10,42 30,64 50,88 50,104",
        "34,66 12,86 14,114 34,125 52,110 46,84 20,56 6,28 16,2 42,0 56,22 48,50 32,66",
    ),
    "9": (
        "50,100 34,122 12,112 6,86 22,68 44,78 50,104! 48,60 42,0",
        "50,104 32,124 10,110 8,82 28,70 48,86 52,108 52,50 38,6 16,-2",
    ),
    "a": (
        "50,70 32,83 10,66 4,34 16,4 36,8 52,40 54,78! 52,24 60,2 72,10",
        "54,66 34,82 10,64 6,26 26,2 46,20 56,80! 54,0",
    ),
    "b": ("6,125 8,40 10,4! 10,36 28,74 50,66 56,34 40,4 20,0 8,12",),
    "c": ("54,66 38,82 14,70 4,38 16,6 38,2 58,18", "50,72 44,80 20,74 6,40 20,2 46,6"),
    "d": (
        "50,66 32,82 10,66 4,32 18,2 38,10 52,44! 56,125! 54,30 62,0 72,8",
        "52,72 30,80 8,58 8,18 28,0 50,20 54,70 54,126! 56,0",
    ),
    "e": ("8,38 40,42 54,60 40,82 16,72 4,38 16,4 36,0 58,20",),
    "f": ("52,112 40,126 26,110 24,60 22,-10 12,-38 0,-30 | 4,70 48,72",),
    "g": ("52,72 34,83 10,68 6,36 22,14 44,34 54,78! 52,0 40,-40 16,-42 4,-24",),
    "h": ("8,125 8,0! 14,48 34,76 50,64 52,0 64,4", "12,125 6,0! 18,52 36,64 46,50 48,0"),
    "i": ("12,78 12,20 22,0 34,10 | 14,108 15,113", "12,76 10,0 | 13,108 12,112"),
    "j": ("24,80 24,0 14,-38 -8,-34 | 26,108 27,113",),
    "k": ("8,125 8,0 | 48,78 10,36! 50,0", "10,125 6,0! 12,44 34,70 46,58 14,38! 50,0 60,6"),
    "l": ("4,10 30,70 38,110 26,126 16,100 14,30 26,0 44,12",),
    "m": ("4,78 8,40 8,0! 12,52 26,78 38,62 38,0! 44,52 60,78 72,62 72,10 84,2",),
    "n": (
        "6,78 8,0! 14,50 34,80 48,64 50,10 62,2",
        "2,66 12,78 14,40 12,0! 22,60 42,78 50,40 54,0",
    ),
    "o": (
        "32,82 10,66 4,34 18,2 42,4 58,34 50,70 32,82",
        "36,80 12,70 6,28 28,0 54,28 50,66 32,82 42,68 66,72",
    ),
    "p": ("8,80 8,-45! 8,30 22,74 44,76 56,44 42,6 20,2 8,20",),
    "q": ("54,70 34,82 10,66 6,30 24,4 46,24 56,76! 52,-20 54,-48! 74,-26",),
    "r": ("6,78 10,0! 12,44 26,74 46,78", "4,70 14,78! 14,40 12,0! 18,52 34,78 50,66"),
    "s": ("48,70 32,83 12,70 22,48 44,30 40,6 20,0 2,12",),
    "t": ("24,112 20,30 30,2 52,10 | 2,78 48,80", "22,118 21,14 28,1 40,6 | 0,80 44,76"),
    "u": ("4,80 4,30 20,2 42,14 54,50 56,80! 56,20 72,2",),
    "v": ("0,70 8,80 22,2! 46,60 52,84 62,76", "0,80 24,2 42,50 44,80 56,72"),
    "w": ("2,80 6,20 22,0 38,30 40,70! 42,20 58,0 76,40 74,82",),
    "x": (
        "4,74 18,83 30,62 30,20 16,0 2,8 | 62,76 48,82 32,60 32,20 46,0 62,10",
        "2,66 12,80 26,64 40,16 52,0 64,12 | 58,82 4,0",
        "2,70 16,82 28,60 36,20 50,0 64,10 | 62,78 46,76 22,10 4,0",
    ),
    "y": (
        "4,80 8,44 22,30 40,44 54,80! 50,10 38,-38 14,-42 2,-26",
        "4,80 26,24 | 54,82 8,-42",
        "2,72 10,80 14,40 32,32 52,78! 46,0 28,-44 8,-36 26,-8 60,6",
    ),
    "z": (
        "6,78 54,80! 4,2! 58,2 | 12,42 50,44",
        "4,70 16,80 52,80! 6,2 22,8 40,0 60,6 | 12,42 48,40",
    ),
    "A": ("2,0 34,125! 62,0 | 12,46 54,46", "4,0 20,90 38,124 50,90 60,0 | 10,50 58,52"),
    "B": ("8,125 8,0 | 8,120 40,124 50,96 10,66! 54,54 56,16 30,0 6,2",),
    "C": ("62,104 42,125 14,106 4,58 18,8 42,0 64,18",),
    "E": ("56,110 30,125 12,104 36,68! 8,40 14,6 36,0 60,18",),
    "I": ("4,125 52,125 | 28,125 28,0 | 4,0 52,0",),
    "P": ("10,125 8,0 | 4,118 40,124 56,98 42,66 10,60",),
    "R": ("10,122 8,0 | 6,118 40,124 54,98 40,70 10,64! 58,0",),
    "T": ("2,122 64,124 | 34,124 32,0",),
    r"\alpha": ("62,80 44,30 24,2 6,14 6,50 22,78 40,58 52,14 66,2",),
    r"\beta": ("2,-40 12,40 20,104 38,124 54,104 46,74 24,66! 50,58 58,28 40,2 22,4 14,20",),
    r"\gamma": ("0,64 12,80 26,50 30,0 26,-38 18,-40 18,-14 34,30 54,82",),
    r"\theta": (
        "28,125 10,104 4,62 10,14 28,0 48,22 54,66 46,110 26,126 | 5,62 53,64",
        "36,122 14,100 6,50 18,4 40,14 54,64 50,112 34,124 | 8,58 52,68",
    ),
    r"\lambda": ("4,118 16,124 28,90 44,30 60,2 | 30,76 4,0",),
    r"\mu": ("10,80 2,-42 | 10,80 12,20 26,4 42,18 52,80! 52,14 66,4",),
    r"\sigma": ("72,80 34,82 8,60 6,20 24,0 46,16 52,50 36,80",),
    r"\phi": ("30,74 8,58 6,18 26,2 50,10 56,48 40,74 30,74 | 40,120 24,-42",),
    r"\pi": ("2,70 14,80 62,82 | 20,80 16,30 8,0 | 44,80 42,20 50,0 62,8",),
    r"\Delta": ("32,122 2,0! 66,2! 31,124",),
    "+": ("2,42 58,42 | 30,72 30,12", "30,70 29,14 | 2,43 58,41"),
    "-": ("2,42 54,42",),
    "=": ("2,54 56,54 | 2,28 56,28",),
    "<": ("58,76 4,42! 58,8",),
    ">": ("4,76 58,42! 4,8",),
    r"\leq": ("56,84 6,52! 56,22 | 4,2 58,2", "56,84 6,52! 56,22 | 6,36 56,4"),
    r"\geq": ("6,84 56,52! 6,22 | 4,2 58,2", "6,84 56,52! 6,22 | 56,36 6,4"),
    r"\neq": ("2,54 58,54 | 2,28 58,28 | 46,80 14,2",),
    r"\times": ("8,68 52,16 | 52,68 8,16",),
    r"\div": ("2,42 60,42 | 30,68 31,72 | 30,12 31,16",),
    r"\pm": ("2,56 58,56 | 30,86 30,28 | 2,8 58,8",),
    r"\cdot": ("6,42 9,45 11,41 7,39",),
    ".": ("5,4 8,7 10,3 6,1",),
    ",": ("10,10 12,-4 2,-24", "10,6 5,-22"),
    r"\ldots": ("4,3 7,6 8,2 | 30,3 33,6 34,2 | 56,3 59,6 60,2",),
    r"\cdots": ("4,42 7,45 8,41 | 30,42 33,45 34,41 | 56,42 59,45 60,41",),
    "!": ("8,125 8,36 | 7,6 9,2",),
    "/": ("46,130 2,-10",),
    "'": ("8,128 0,98",),
    r"\prime": ("14,70 4,10",),
    "(": ("28,138 8,90 6,20 28,-28",),
    ")": ("4,138 24,90 26,20 4,-28",),
    "[": ("28,136 6,136! 6,-26! 28,-26",),
    "]": ("4,136 26,136! 26,-26! 4,-26",),
    r"\{": ("36,136 20,120 22,80 4,55! 22,30 18,-10 36,-26",),
    r"\}": ("4,136 20,120 18,80 36,55! 18,30 22,-10 4,-26",),
    "|": ("6,136 6,-24",),
    r"\in": ("58,80 24,76 4,42 24,4 58,0 | 4,42 52,42",),
    r"\exists": ("4,125 56,125! 56,0! 4,0 | 10,62 56,62",),
    r"\forall": ("0,125 32,0! 64,125 | 14,74 50,74",),
    r"\infty": ("50,40 30,62 10,60 4,38 16,18 34,26 50,42 68,62 88,58 94,38 80,18 62,26 48,42",),
    r"\rightarrow": ("2,42 94,42 | 70,64 95,42! 70,18", "2,42 50,44 94,42! 72,62 | 94,42 74,20"),
    r"\int": ("54,148 44,166 30,150 28,70 24,-20 12,-40 -4,-26",),
    r"\sum": (
        "66,126 64,140! 4,140! 42,60! 2,-25! 68,-25 70,-8",
        "66,138 6,138! 44,58! 4,-24! 70,-24",
    ),
}
"""Token to its drawn variants: strokes apart by |, knots in hundredths of a symbol unit, y upwards;
! makes a corner."""


Curve = NDArray[np.float64]
"""Points of one stroke, shape (n, 2), evenly spaced."""
Glyph = tuple[Curve, ...]
"""The strokes of one variant of a sign, in writing order."""

STEP = 0.06
"""Distance between neighbouring points, symbol units."""
WORDS = (
    *(r"\sin", r"\cos", r"\tan", r"\log", r"\lim"),
    *(r"\cot", r"\sec", r"\csc", r"\arcsin", r"\arccos", r"\arctan", r"\sinh", r"\cosh", r"\tanh"),
    *(r"\ln", r"\exp", r"\max", r"\min", r"\sup", r"\inf", r"\det", r"\dim", r"\ker", r"\gcd"),
    *(r"\arg", r"\deg", r"\mod"),
)
"""Functions that are written letter by letter and count as one symbol."""
BUILT = (r"\frac", r"\sqrt")
"""Signs whose shape depends on their content (`hmer.synthesis.layout`)."""

_BASE_LINE, _CAP_HEIGHT = 9, 21  # of the Hershey fonts, font units
_UNIT = 1.25 / _CAP_HEIGHT
_SCRIPT = 1.2  # the script faces have a lower x-height than the plain one

_FONT_PLAIN = "ABCDEFGHJKLMNOPQRSTUVWXYZ" + "abcdefghijkmnopqrstuwy" + "023456789"
_FONT_SCRIPT = "acdeghiklmnopqtuvwy"  # its b, r, s, x and z read as other signs, f is too tall
_FONT_GREEK = {
    r"\alpha": "a",
    r"\beta": "b",
    r"\gamma": "g",
    r"\lambda": "l",
    r"\mu": "m",
    r"\sigma": "s",
    r"\phi": "f",
    r"\pi": "p",
    r"\Delta": "D",
    r"\Pi": "P",
}


def resample(points: Curve, step: float = STEP) -> Curve:
    """The polyline (n, 2) through evenly spaced points, both ends kept; at least two points."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    count = max(2, int(np.ceil(along[-1] / step)) + 1)
    where = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)])


def spline(knots: Curve) -> Curve:
    """A uniform Catmull-Rom curve through the knots (n, 2), densely sampled."""
    if len(knots) < 3:
        return knots
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = np.linspace(0.0, 1.0, 12, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            b
            + 0.5 * t * (c - a)
            + t**2 * (a - 2.5 * b + 2 * c - 0.5 * d)
            + t**3 * (1.5 * (b - c) + 0.5 * (d - a))
        )
    return np.vstack([*pieces, knots[-1:]])


def parse_drawn(text: str) -> Glyph:
    """Strokes of one variant in the notation of `hmer.synthesis.glyphs.font`."""
    strokes = []
    for part in text.split("|"):
        runs: list[list[list[float]]] = [[]]
        for word in part.split():
            x, y = word.removesuffix("!").split(",")
            point = [float(x) / 100, -float(y) / 100]
            runs[-1].append(point)
            if word.endswith("!"):
                runs.append([point])
        curves = [spline(np.array(run)) for run in runs]
        strokes.append(resample(np.vstack(curves)))
    return tuple(strokes)


@cache
def _font(name: str) -> HersheyFonts:
    font = HersheyFonts()
    font.load_default_font(name)
    return font


def font_glyph(font: str, char: str, scale: float = 1.0) -> Glyph:
    """One character of a Hershey font."""
    strokes = _font(font).all_glyphs[char].strokes
    curves = [np.array(stroke, dtype=float) for stroke in strokes if len(stroke) > 1]
    left = min(curve[:, 0].min() for curve in curves)
    unit = _UNIT * scale
    return tuple(resample((curve - [left, _BASE_LINE]) * unit) for curve in curves)


@cache
def variants(token: str) -> tuple[Glyph, ...]:
    """All ways to write a single sign.

    Raises:
        KeyError: the token has no glyph of its own (`WORDS`, `BUILT`, structure tokens).
    """
    found = [parse_drawn(text) for text in DRAWN.get(token, ())]
    if token in _FONT_PLAIN:
        found.append(font_glyph("futural", token))
    if token in _FONT_SCRIPT:
        found.append(font_glyph("scripts", token, _SCRIPT))
    if token in _FONT_GREEK:
        found.append(font_glyph("greek", _FONT_GREEK[token]))
    if not found:
        raise KeyError(token)
    return tuple(found)


_GRID = 9
_SMALLEST = 0.5  # symbol units: dots and bars are compared at this size, not blown up
_NEAREST = 0.05  # share of a class's samples that another one is compared with
_NEARER = 1.4  # times: another class is much nearer
_TYPICAL = 0.9  # share of a class that is kept in any case
_JUDGED = 16  # samples of a class, at least
_REFERENCES = 500  # samples of a class that others are compared with
_BATCH = 512
_SIZE_WEIGHT = 0.6


def features(glyph: Glyph) -> NDArray[np.float32]:
    """What a sample looks like: ink on a coarse grid of its square box, and its size and height."""
    even = (resample(stroke, 0.08) if len(stroke) > 1 else stroke for stroke in glyph)
    points = np.concatenate([*even])
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(float((high - low).max()), _SMALLEST)
    cell = (points - (low + high) / 2) / side * (_GRID - 1.5) + _GRID / 2 - 0.5
    base = np.clip(np.floor(cell).astype(np.int64), 0, _GRID - 2)
    part = cell - base
    image = np.zeros((_GRID, _GRID))
    for dx, dy in product((0, 1), (0, 1)):
        weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
        np.add.at(image, (base[:, 1] + dy, base[:, 0] + dx), weight)
    image = np.sqrt(image / max(float(image.sum()), 1e-9))
    size = _SIZE_WEIGHT * np.array([np.log(side), (low[1] + high[1]) / 2 / 2])
    return np.concatenate([image.ravel(), size]).astype(np.float32)


def recognisable(tokens: Sequence[str], glyphs: Sequence[Glyph]) -> NDArray[np.bool_]:
    """Which samples (n,) do not look like another class more than like their own.

    A class is as far away as the nearest twentieth of its samples, so that large classes are no
    nearer than small ones. Left out are samples to which another class is much nearer than their
    own, where they are also of the tenth of their class that is farthest from it: confusable
    classes lose no more. Classes with few samples are kept whole.
    """
    looks = np.stack([features(glyph) for glyph in glyphs])
    labels = np.unique(np.array(tokens), return_inverse=True)[1]
    counts = np.bincount(labels)
    few = np.asarray(counts < _JUDGED)
    if few.all():
        return few[labels]
    rng = np.random.default_rng(0)
    of_class = [np.flatnonzero(labels == label) for label in range(len(counts))]
    references = [rng.permutation(samples)[:_REFERENCES] for samples in of_class]
    ends = np.cumsum([len(samples) for samples in references])
    chosen = np.concatenate(references)
    compared = looks[chosen]
    squares = (compared**2).sum(axis=1)
    apart = np.empty((len(looks), len(counts)), np.float32)
    for first in range(0, len(looks), _BATCH):
        batch = looks[first : first + _BATCH]
        all_apart = squares - 2 * batch @ compared.T + (batch**2).sum(axis=1)[:, None]
        here = np.arange(first, first + len(batch))
        all_apart[here[:, None] == chosen[None, :]] = np.inf  # nobody vouches for himself
        for label, part in enumerate(np.split(all_apart, ends[:-1], axis=1)):
            nearest = math.ceil(_NEAREST * part.shape[1]) - 1
            apart[here, label] = np.partition(part, nearest, axis=1)[:, nearest]
    own = apart[np.arange(len(looks)), labels]
    odd = own > _NEARER**2 * np.maximum(apart.min(axis=1), 1e-6)
    far = np.zeros(len(looks), bool)
    for samples in of_class:
        far[samples] = own[samples] >= np.quantile(own[samples], _TYPICAL, method="higher")
    return np.asarray(few[labels] | ~(odd & far))
