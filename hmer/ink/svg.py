"""SVG drawings as ink: stroked paths and lines, as whiteboards and drawing programs save them.

After SVG 1.1: path data (8.3), transforms (7.6), `use` (5.6). Outlines that are filled, text and
pictures are no strokes: a drawing with them is refused rather than read in part. Lines and dots of
paper are left out (`hmer.ink.paper`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.affine import Affine, moved, scaled, turned
from hmer.ink.inkml import MAX_BYTES, MAX_POINTS, MAX_STROKES, placed
from hmer.ink.markup import local, parse_xml, root_name
from hmer.ink.paper import on_paper
from hmer.ink.points import MAX_STROKE_POINTS
from hmer.ink.strokes import Ink

_Line = NDArray[np.float64]  # points (n, 2)

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PIECE = re.compile(rf"([MmLlHhVvCcSsQqTtAaZz])|({_NUMBER})|[\s,]+")
_VALUE, _FLAG = re.compile(rf"[\s,]*({_NUMBER})"), re.compile(r"[\s,]*([01])")
_TRANSFORM = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)")
_COMMENT, _RULE = re.compile(r"/\*.*?\*/", re.DOTALL), re.compile(r"([^{}]+)\{([^{}]*)\}")
_VALUES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_BEZIER = np.linspace(0, 1, 13)[1:, None]  # parameters of the points on a curve, but its first
_ARC = np.pi / 12  # between points on an arc
_INITIAL = {"stroke": "none", "fill": "black"}
_INHERITED = (*_INITIAL, "visibility", "stroke-opacity", "fill-opacity", "stroke-width")
_UNDRAWN = frozenset(
    "defs symbol clipPath mask marker pattern metadata title desc style script "
    "linearGradient radialGradient filter".split()
)
_SHAPES = frozenset("path polyline polygon line circle ellipse".split())
_OTHERS = frozenset("text image foreignObject".split())
_CLEAR = re.compile(
    r"none|transparent|#[\da-f]{3}0|#[\da-f]{6}00"
    r"|\w+\((?:[^,)]*,){3}0*\.?0*%?\)|\w+\([^/)]*/0*\.?0*%?\)"
)
_WHITE = re.compile(r"white|#f{3,4}|#f{6}|#f{8}|rgba?\((100%|255),(100%|255),(100%|255)(,1)?\)")
_ZERO = re.compile(r"(0+\.?0*|\.0+)(px|%)?")
_TOO_DEEP = 64
_MOST = 20_000  # elements


def looks_like_svg(data: bytes) -> bool:
    """Whether a file is an SVG drawing, and not a page with one in it."""
    return root_name(data) == "svg"


def read_svg(data: bytes, name: str) -> Ink:
    """The strokes of a drawing, in its own units.

    Raises:
        InkError: not well-formed, no strokes, too large, or with more than strokes in it.
    """
    if len(data) > MAX_BYTES:
        raise InkError(f"{name}: {len(data)} bytes is more than {MAX_BYTES} for one expression")
    try:
        root = parse_xml(data, name)
    except ElementTree.ParseError as error:
        raise InkError(f"{name}: the SVG cannot be read ({error}); save it again") from error
    strokes: list[list[_Line]] = []
    looks: list[tuple[str, ...]] = []
    count = 0
    for element, matrix, style in _drawn(root, name):
        if not _is_stroke(element, style, name):
            continue
        look = (style["stroke" if _stroked(style) else "fill"], style.get("stroke-width", ""))
        for line in _lines(element, style, name):
            points = line @ matrix[:2, :2].T + matrix[:2, 2]
            # With pressure, some programs save each piece of a stroke by itself.
            joined = strokes and np.abs(strokes[-1][-1][-1] - points[0]).max() < 1e-6
            if joined and looks[-1][0] == look[0]:
                strokes[-1].append(points[1:] if len(points) > 1 else points)
            else:
                strokes.append([points])
                looks.append(look)
            count += len(points)
        if len(strokes) > MAX_STROKES or count > MAX_POINTS:
            raise InkError(f"{name}: over {MAX_STROKES} strokes, or {MAX_POINTS} points, for one "
                           "expression")  # fmt: skip
    if not strokes:
        raise InkError(f"{name}: the SVG has no pen strokes; export it as PNG or JPEG")
    whole = placed([np.concatenate(pieces) for pieces in strokes], name)
    written = np.flatnonzero(on_paper(whole, looks))
    if len({_WHITE.fullmatch(looks[i][0]) is None for i in written}) > 1:
        raise InkError(f"{name}: the SVG has white strokes beside others, perhaps an eraser's; "
                       "export it as PNG or JPEG")  # fmt: skip
    return Ink(tuple(whole[i] for i in written))


def _drawn(root: Element, name: str) -> Iterator[tuple[Element, Affine, Mapping[str, str]]]:
    """What is drawn, in order, with its map to the drawing's units and its style."""
    named = {key: e for e in root.iter() if (key := e.get("id"))}
    rules: dict[str, str] = {}
    for sheet in (e for e in root.iter() if local(e) == "style"):
        for selectors, said in _RULE.findall(_COMMENT.sub("", "".join(sheet.itertext()))):
            for selector in selectors.split(","):  # by its last part: `g .pen` holds for `.pen`
                if simple := selector.split()[-1:]:
                    rules[simple[0]] = f"{rules.get(simple[0], '')};{said}"
    stack: list[tuple[Element, Affine, dict[str, str], int]] = [
        (root, moved(0, 0), dict(_INITIAL), 0)
    ]
    left = _MOST
    while stack:
        element, matrix, around, depth = stack.pop()
        left -= 1
        if depth > _TOO_DEEP or left < 0:
            raise InkError(f"{name}: the SVG is nested too deeply, or never ends; save it again")
        kind = local(element)
        style = {key: around[key] for key in _INHERITED if key in around} | _style(element, rules)
        clear = style.get("display") == "none" or _ZERO.fullmatch(style.get("opacity", "1"))
        if kind in _UNDRAWN or clear:
            continue
        matrix = matrix @ _matrix(style.get("transform", ""), name)
        if kind == "svg" and depth:
            matrix = matrix @ _viewport(element, name)
        if kind == "use":
            link = next((v for k, v in element.items() if k.rpartition("}")[2] == "href"), "")
            if (target := named.get(link.removeprefix("#"))) is not None:
                x, y = (_number(element.get(side) or "0", name) for side in "xy")
                inner = list(target) if local(target) == "symbol" else [target]
                stack += [(e, matrix @ moved(x, y), style, depth + 1) for e in reversed(inner)]
            continue
        if kind in _SHAPES or kind in _OTHERS:
            yield element, matrix, style
        elif kind == "switch":  # the first that can be shown
            able = [e for e in element if not e.get("requiredExtensions")]
            stack += [(e, matrix, style, depth + 1) for e in able[:1]]
        else:
            stack += [(e, matrix, style, depth + 1) for e in reversed(element)]


def _viewport(element: Element, name: str) -> Affine:
    """From the units of an `svg` in another to those of the other."""
    x, y = (_number(element.get(side) or "0", name) for side in "xy")
    box = _numbers(element.get("viewBox") or "")
    sides = [element.get(side) or "" for side in ("width", "height")]
    if len(box) != 4 or min(box[2:]) <= 0 or not all(map(_VALUE.match, sides)):
        return moved(x, y)
    width, height = (_number(side, name) for side in sides)
    scale = min(width / box[2], height / box[3])
    x, y = x + (width - scale * box[2]) / 2, y + (height - scale * box[3]) / 2
    return moved(x, y) @ scaled(scale, scale) @ moved(-box[0], -box[1])


def _style(element: Element, rules: Mapping[str, str]) -> dict[str, str]:
    """Properties of an element's own: attributes, then rules of style sheets, then `style`."""
    kind, classes = local(element), (element.get("class") or "").split()
    selectors = ["*", kind, *(f".{c}" for c in classes), *(f"{kind}.{c}" for c in classes),
                 f"#{element.get('id')}"]  # fmt: skip
    text = ";".join([*(rules.get(one, "") for one in selectors), element.get("style") or ""])
    pairs = (pair.partition(":") for pair in text.split(";"))
    said = {key.strip().lower(): value.replace("!important", "") for key, _, value in pairs}
    values = dict(element.items()) | said
    return {key: "".join(value.split()).lower() if key in _INHERITED else value.strip()
            for key, value in values.items() if value.strip() != "inherit"}  # fmt: skip


def _stroked(style: Mapping[str, str]) -> bool:
    """Whether the line of an element is seen."""
    thin = any(_ZERO.fullmatch(style.get(f"stroke-{key}", "1")) for key in ("opacity", "width"))
    return not thin and _CLEAR.fullmatch(style["stroke"]) is None


def _is_stroke(element: Element, style: Mapping[str, str], name: str) -> bool:
    """Whether an element is drawn by a pen; what leaves no trace (white paper, hidden) is not.

    Raises:
        InkError: it is a filled shape, a text or a picture.
    """
    kind, fill = local(element), style["fill"]
    if style.get("visibility") in ("hidden", "collapse"):
        return False
    if kind in _SHAPES and _stroked(style):
        return True
    clear = _CLEAR.fullmatch(fill) or _ZERO.fullmatch(style.get("fill-opacity", "1"))
    if kind == "line" or (kind in _SHAPES and (clear or _WHITE.fullmatch(fill))):
        return False
    if kind in ("circle", "ellipse"):
        return True  # a dot
    what = kind if kind in _OTHERS else "filled shape"
    raise InkError(f"{name}: the SVG has a {what}, not pen strokes alone; export it as PNG or JPEG")


def _number(text: str, name: str) -> float:
    found = _VALUE.match(text)
    if found is None:
        raise InkError(f"{name}: the SVG has {text[:20]!r} for a number; save it again")
    return float(found[1])


def _numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(_NUMBER, text)]


def _matrix(text: str, name: str) -> Affine:
    """The map that a `transform` attribute describes."""
    found = moved(0, 0)
    for kind, inner in _TRANSFORM.findall(text):
        values = _numbers(inner)
        try:
            found = found @ _one_matrix(kind, values)
        except (IndexError, ValueError):
            raise InkError(f"{name}: the SVG has a transform {kind}({inner[:40]}) that is none; "
                           "save it again") from None  # fmt: skip
    return found


def _one_matrix(kind: str, values: list[float]) -> Affine:
    if kind == "matrix":
        a, b, c, d, e, f = values
        return np.array([[a, c, e], [b, d, f], [0, 0, 1]], np.float64)
    if kind == "translate":
        return moved(values[0], values[1] if len(values) > 1 else 0.0)
    if kind == "scale":
        return scaled(values[0], values[-1])
    if kind == "rotate":
        x, y = values[1:3] or (0.0, 0.0)
        return moved(x, y) @ turned(values[0]) @ moved(-x, -y)
    skew = moved(0, 0)
    skew[(0, 1) if kind == "skewX" else (1, 0)] = np.tan(np.deg2rad(values[0]))
    return skew


def _lines(element: Element, style: Mapping[str, str], name: str) -> Iterator[_Line]:
    """The strokes of an element, in its own units; a filled circle is a dot."""
    kind = local(element)
    if kind == "path":
        yield from _Pen(name).strokes(element.get("d") or "")
        return
    if kind in ("circle", "ellipse"):
        sides = (element.get("rx") or element.get("r"), element.get("ry") or element.get("r"))
        radii = [_number(side or "0", name) for side in sides]
        middle = [_number(element.get(key) or "0", name) for key in ("cx", "cy")]
        if not _stroked(style):
            yield np.array([middle])
            return
        angles = np.arange(0, 2 * np.pi + _ARC / 2, _ARC)
        yield np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + middle
        return
    if kind == "line":
        values = [_number(element.get(key) or "0", name) for key in ("x1", "y1", "x2", "y2")]
    else:
        values = _numbers(element.get("points") or "")
    points = np.array(values[: len(values) // 2 * 2], np.float64).reshape(-1, 2)
    if len(points):
        yield np.concatenate([points, points[:1]]) if kind == "polygon" else points


class _Pen:
    """The state of path data: where the pen is, and the last control point of a curve."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line: list[_Line] = []
        self.at = self.control = np.zeros(2)
        self.before = ""

    def strokes(self, data: str) -> Iterator[_Line]:
        """One stroke for each subpath.

        Raises:
            InkError: it is not path data.
        """
        for number, (command, values) in enumerate(self._steps(data)):
            if number > MAX_STROKE_POINTS:
                raise InkError(
                    f"{self.name}: a path of over {MAX_STROKE_POINTS} pieces; simplify it"
                )
            if command in "Mm" or (not self.line and command not in "Zz"):
                yield from self._done()
                start = np.array(values) + (self.at if command == "m" else 0)
                start = start if command in "Mm" else self.at
                self.line, self.at = [start[None]], start
            if command in "Zz":
                if self.line:
                    self.at = self.line[0][0]
                    self.line.append(self.at[None])
                    yield from self._done()
            elif command not in "Mm":
                self._draw(command.upper(), values, self.at if command.islower() else np.zeros(2))
            self.before = command.upper()
        yield from self._done()

    def _done(self) -> Iterator[_Line]:
        if len(self.line) > 1:
            yield np.concatenate(self.line)
        self.line = []

    def _steps(self, data: str) -> Iterator[tuple[str, list[float]]]:
        """Each command with its values, repeated as often as there are values for it."""
        command, at, data = "", 0, data.rstrip()
        while at < len(data):
            found = _PIECE.match(data, at)
            if found is None or (found[2] and not command):
                raise InkError(f"{self.name}: the SVG has a path that is none; save it again")
            if not found[1] and not found[2]:
                at = found.end()
                continue
            if found[1]:
                command, at = found[1], found.end()
            values: list[float] = []
            for number in range(_VALUES[command.upper()]):
                # The flags of an arc are single digits, and need nothing between them.
                flag = command in "Aa" and number in (3, 4)
                value = (_FLAG if flag else _VALUE).match(data, at)
                if value is None:
                    raise InkError(f"{self.name}: the SVG has a path that is none; save it again")
                values.append(float(value[1]))
                at = value.end()
            yield command, values
            if command in "Zz":
                command = ""
            elif command in "Mm":
                command = "L" if command == "M" else "l"

    def _draw(self, kind: str, values: list[float], origin: _Line) -> None:
        if kind in "HV":
            end = self.at.copy()
            end["HV".index(kind)] = values[0] + origin["HV".index(kind)]
            found = end[None]
        elif kind == "L":
            found = (np.array(values) + origin)[None]
        elif kind == "A":
            found = _arc(self.at, values[:5], np.array(values[5:]) + origin)
        else:
            corners = [self.at, *(np.array(values).reshape(-1, 2) + origin)]
            if kind in "ST":  # the first control point is the last one, mirrored
                smooth = self.before in ("CS" if kind == "S" else "QT")
                corners.insert(1, 2 * self.at - self.control if smooth else self.at)
            self.control = corners[-2]
            while len(corners) > 1:  # de Casteljau
                corners = [a + _BEZIER * (b - a) for a, b in pairwise(corners)]
            found = corners[0]
        self.line.append(found)
        self.at = found[-1]


def _arc(start: _Line, values: list[float], end: _Line) -> _Line:
    """Points on an elliptical arc (SVG 1.1, F.6.5), but its first."""
    radii, (large, sweep) = np.abs(values[:2]), values[3:5]
    if not radii.all() or np.array_equal(start, end):
        return end[None]
    to_circle = turned(-values[2])[:2, :2] / radii[:, None]
    a, b = to_circle @ start, to_circle @ end
    half = (b - a) / 2
    length = float(half @ half)
    if length > 1:  # the ellipse is too small: it is made as large as it must be
        a, b, half, to_circle = (value / length**0.5 for value in (a, b, half, to_circle))
        length = 1.0
    side = (1 - length) ** 0.5 / length**0.5 * (1 if large != sweep else -1)
    centre = (a + b) / 2 + side * np.array([-half[1], half[0]])
    first, last = (np.arctan2(*(point - centre)[::-1]) for point in (a, b))
    turn = (last - first) % (2 * np.pi) - (0 if sweep else 2 * np.pi)
    angles = first + turn * np.linspace(0, 1, max(2, int(abs(turn) / _ARC) + 2))[1:]
    circle = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([np.linalg.solve(to_circle, circle.T).T[:-1], end[None]])
