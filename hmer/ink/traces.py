"""The traces of InkML: the format that each is written in, and views of traces and groups.

After the W3C's Recommendation (2011): contexts and formats (3.2, 4), transforms to the canvas,
groups and views (5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.affine import Affine, moved, scaled
from hmer.ink.markup import local
from hmer.ink.points import Format, read_points, touching

_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_MAX_VIEWS = 50_000
_MAX_DEPTH = 64
_MAX_SETTINGS = 4
_LARGEST = 1e9  # number of a transform
_METRES = {
    "m": 1.0, "cm": 1e-2, "mm": 1e-3, "in": 0.0254, "inch": 0.0254, "pt": 0.0254 / 72,
    "pc": 0.0254 / 6,
}  # fmt: skip
_HOVERING = ("penup", "hover")
_TIPS = ("S", "F", "FORCE", "PRESSURE")  # channels that tell whether the pen touches, best first
_SETTING = ("context", "inkSource", "traceFormat")

Part = tuple[Element, int, int | None]
"""A trace, its first point and the one after its last, counted from 0; None: up to the end."""


class Traces:
    """The traces of an `<ink>` element, with their formats and their views."""

    def __init__(self, root: Element, name: str) -> None:
        self.root = root
        self.name = name
        self._ids: dict[str, Element] = {}
        self._sources: dict[Element, Element] = {}
        self._known: dict[tuple[str | None, Element | None], Format] = {}
        self._budget = _MAX_VIEWS
        named: dict[str, Element] = {}
        for element in root.iter():
            if identifier := element.get("id") or element.get(_XML_ID):
                # CROHME gives traces and groups the same names.
                (self._ids if local(element) == "trace" else named).setdefault(identifier, element)
            if local(element) == "inkSource":
                self._sources |= dict.fromkeys(element, element)
        self._ids = named | self._ids
        apart = {e for canvas in root.iter() if local(canvas) == "canvas" for e in canvas}
        formats = (e for e in root.iter() if local(e) == "traceFormat" and e not in apart)
        self._all = {self._format(e) for e in formats}
        self._transforms = [e for e in root.iter() if local(e) == "canvasTransform"]

    def walk(self) -> Iterator[tuple[Element, NDArray[np.float64], list[tuple[int, int]], bool]]:
        """Each written trace, its points (n, 2), which of them (`touching`), and whether it stands
        in `definitions`.

        In document order; hovering (`penUp`) and traces without points are left out.

        Raises:
            InkError: a trace cannot be read.
        """
        current: Element | None = None
        for child in self.root:
            if local(child) in _SETTING:
                current = child  # streaming: holds for what follows
                continue
            stack: list[tuple[Element, str | None, bool]] = [(child, None, False)]
            while stack:
                element, context, defined = stack.pop()
                context = element.get("contextRef") or context
                if local(element) == "trace":
                    if re.sub(r"[\W_]", "", element.get("type") or "").lower() in _HOVERING:
                        continue
                    form = self._format_of(context, current)
                    text = element.text or ""
                    points = read_points(text, form, self.name)
                    runs = touching(text, form, len(points))
                    if len(points) and runs:
                        yield element, points, runs, defined
                    continue
                defined = defined or local(element) == "definitions"
                stack.extend((inner, context, defined) for inner in reversed(element))

    def prior(self, trace: Element) -> Element | None:
        """The trace that this one goes on with."""
        goes_on = (trace.get("continuation") or "") in ("middle", "end")
        return self._named(trace.get("priorRef")) if goes_on else None

    def parts(self, element: Element) -> list[Part]:
        """The traces of a trace, `traceView` or `traceGroup`; none where a view names nothing.

        Raises:
            InkError: a view's range is none, or views of views never end.
        """
        return self._part(element, (), (), 0)

    def _named(self, reference: str | None) -> Element | None:
        reference = (reference or "").strip()
        return self._ids.get(reference, self._ids.get(reference.removeprefix("#")))

    def _viewed(self, view: Element, depth: int) -> list[Part]:
        target = self._named(view.get("traceDataRef"))
        if target is None:
            return []
        return self._part(target, self._range(view, "from"), self._range(view, "to"), depth)

    def _range(self, view: Element, side: str) -> tuple[int, ...]:
        text = (view.get(side) or "").replace(" ", "")
        if text and not re.fullmatch(r"[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})*", text):
            raise InkError(f"{self.name}: a traceView has {side}={text[:20]!r}, no number from 1")
        return tuple(int(number) for number in text.split(":")) if text else ()

    def _count(self, depth: int) -> None:
        """Refuse what refers to each other without an end."""
        self._budget -= 1
        if self._budget < 0 or depth > _MAX_DEPTH:
            raise InkError(f"{self.name}: its views never end, or name over {_MAX_VIEWS} traces")

    def _part(
        self, element: Element, first: Sequence[int], last: Sequence[int], depth: int
    ) -> list[Part]:
        """A piece of a trace or group; `first` and `last` are ways down the tree, from 1."""
        self._count(depth)
        kind = local(element)
        if kind == "trace":
            return [(element, first[0] - 1 if first else 0, last[0] if last else None)]
        if kind == "traceView":
            return self._viewed(element, depth + 1)
        children = [c for c in element if local(c) in ("trace", "traceGroup", "traceView")]
        found: list[Part] = []
        for number, child in enumerate(children, 1):
            if (not first or number >= first[0]) and (not last or number <= last[0]):
                begin = first[1:] if first and number == first[0] else ()
                end = last[1:] if last and number == last[0] else ()
                found += self._part(child, begin, end, depth + 1)
        return found

    def _format_of(self, reference: str | None, current: Element | None) -> Format:
        """The format of a trace: of the context it names, else of the last one set, else the only.

        Raises:
            InkError: there is no telling, or the format has no X and Y.
        """
        key = reference, current
        if key not in self._known:
            context = current if reference is None else self._named(reference)
            if context is None and reference is not None and len(self._all) > 1:
                raise InkError(
                    f"{self.name}: a trace names the context {reference[:40]!r}, which is not "
                    "there, and the formats differ; write the ink again"
                )
            # Without a word InkML means X Y; most writers mean the one format that they give.
            several = len(self._all) > 1
            only = Format(guessed=several) if several or not self._all else next(iter(self._all))
            form = self._resolve(context, 0) or only
            self._known[key] = self._on_canvas(form, context)
        form = self._known[key]
        if form.x < 0 or form.y < 0:
            raise InkError(f"{self.name}: the trace format has no X and Y channels")
        return form

    def _resolve(self, setting: Element | None, depth: int) -> Format | None:
        """The format that a context, source or format sets, by way of what it names."""
        if setting is None or depth > _MAX_DEPTH:
            return None
        if local(setting) == "traceFormat":
            return self._format(setting)
        inner = [child for child in setting if local(child) in _SETTING]
        for kind in ("traceFormatRef", "inkSourceRef", "contextRef"):
            named = self._named(setting.get(kind))
            inner += [named] if named is not None and local(named) in _SETTING else []
        found = (self._resolve(element, depth + 1) for element in inner[:_MAX_SETTINGS])
        return next((form for form in found if form), None)

    def _format(self, element: Element) -> Format:
        channels = [e for e in element.iter() if local(e) == "channel"]
        apart = {c for e in element if local(e) == "intermittentChannels" for c in e}
        regular = [channel for channel in channels if channel not in apart]
        if not channels:
            return Format()
        names, last = (
            [_said(channel, "name").upper() for channel in some]
            for some in (regular, [channel for channel in channels if channel in apart])
        )
        x, y = (names.index(axis) if axis in names else -1 for axis in "XY")
        down, right = (
            -1.0 if at >= 0 and _said(regular[at], "orientation").lower() == "-ve" else 1.0
            for at in (y, x)
        )
        axes = [regular[at] for at in (x, y) if at >= 0]
        down *= _aspect(axes, self._sources.get(element))
        tip = next((at for kind in _TIPS for at, e in enumerate(names + last) if e == kind), -1)
        affine = (right, 0.0, 0.0, 0.0, down, 0.0)
        force = tip >= 0 and (names + last)[tip] != _TIPS[0]
        return Format(x, y, len(regular), len(channels), affine, tip=tip, force=force)

    def _on_canvas(self, form: Format, context: Element | None) -> Format:
        """The format with the transform to the canvas that its context sets, or the only one.

        A transform that mirrors, or stretches, does what orientations and resolutions ask for.
        """
        chosen = self._transform(context, 0)
        if chosen is None and context is None and len(self._transforms) == 1:
            (chosen,) = self._transforms
        mapping = next((e for e in chosen if local(e) == "mapping"), None) if chosen else None
        if mapping is None:
            return form
        found = self._mapping(mapping, 0)
        own = scaled(form.affine[0], form.affine[4])
        if np.linalg.det(found) < 0:
            own = np.abs(own)
        if not np.isclose(*np.hypot(*found[:2, :2])):
            own = np.sign(own)
        return replace(form, affine=tuple((found @ own)[:2].ravel().tolist()))

    def _transform(self, setting: Element | None, depth: int) -> Element | None:
        """The `canvasTransform` of a context, or of the one it goes on from."""
        if setting is None or depth > _MAX_DEPTH:
            return None
        own = next((e for e in setting if local(e) == "canvasTransform"), None)
        own = self._named(setting.get("canvasTransformRef")) if own is None else own
        if own is not None:
            return own
        return self._transform(self._named(setting.get("contextRef")), depth + 1)

    def _mapping(self, mapping: Element, depth: int) -> Affine:
        """What a `mapping` does to X and Y.

        Raises:
            InkError: it is no affine one, or never ends.
        """
        self._count(depth)
        named = self._named(mapping.get("mappingRef"))
        if named is not None:
            return self._mapping(named, depth + 1)
        kind = _said(mapping, "type").lower()
        if kind == "product":
            found = moved(0, 0)
            for inner in (e for e in mapping if local(e) == "mapping"):
                found = self._mapping(inner, depth + 1) @ found
            return found
        if kind == "affine":
            return self._matrix(mapping)
        targets = {_said(e, "target").upper() for e in mapping if local(e) == "bind"} - {""}
        if kind == "identity" or (targets and targets.isdisjoint("XY")):
            return moved(0, 0)
        raise InkError(
            f"{self.name}: a canvasTransform of the type {kind[:20]!r}, not affine; write the ink "
            "in the canvas's own coordinates"
        )

    def _matrix(self, mapping: Element) -> Affine:
        """An affine `mapping`: a row for each channel of the canvas, with a last column to add."""
        binds = [e for e in mapping if local(e) == "bind"]
        text = "".join(mapping.itertext())
        try:
            rows = np.array([row.split() for row in text.split(",") if row.strip()], np.float64)
            if rows.size == 6:  # whatever stands between them
                rows = rows.reshape(2, 3)
            places = [
                _axes([name for e in binds if (name := _said(e, side).upper())])
                for side in ("target", "source")
            ]
            found = moved(*rows[places[0], -1])
            found[:2, :2] = rows[:, :-1][np.ix_(*places)]
        except (ValueError, IndexError):
            found = np.zeros((3, 3))
        if not (np.abs(found).max() < _LARGEST and np.linalg.det(found)):
            raise InkError(f"{self.name}: a canvasTransform has a matrix that is none for X and Y; "
                           "correct it, or remove it")  # fmt: skip
        return found


def _axes(names: Sequence[str]) -> list[int]:
    """The places of X and Y in these channels; without any, they are the first two."""
    return [names.index(axis) for axis in "XY"] if names else [0, 1]


def _said(element: Element, attribute: str) -> str:
    return (element.get(attribute) or "").strip()


def _aspect(axes: Sequence[Element], source: Element | None) -> float:
    """The step of y over that of x, where they differ: by the device's resolution or by units."""
    steps = {_said(axis, "name").upper(): (1.0, _said(axis, "units").lower()) for axis in axes}
    for entry in source.iter() if source is not None else ():
        if local(entry) == "channelProperty" and entry.get("name") == "resolution":
            try:
                resolution = float(entry.get("value") or "")
            except ValueError:
                continue
            unit = _said(entry, "units").lower().removeprefix("1/").strip()
            if resolution > 0:
                steps[_said(entry, "channel").upper()] = 1 / resolution, unit
    (x, unit), (y, other) = (steps.get(axis, (1.0, "")) for axis in "XY")
    if unit != other:
        if unit not in _METRES or other not in _METRES:
            return 1.0
        x, y = x * _METRES[unit], y * _METRES[other]
    return y / x if 0.03 < y / x < 30 else 1.0
