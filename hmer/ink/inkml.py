"""InkML, the W3C format of pen input, as far as handwritten mathematics uses it.

Read tolerantly (namespaces, extra channels, either kind of trace identifier, stray bytes outside
what we use), refuse clearly: everything wrong with a file is an `InkError` that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.markup import REPLACED, has_ink, local, parse_ink
from hmer.ink.strokes import Ink, Points, Symbol
from hmer.ink.traces import Traces

MAX_BYTES = 16 * 2**20
MAX_STROKES = 5_000
MAX_POINTS = 250_000
MAX_COORDINATE = 1e7  # float32 still resolves single device units there

LABELS = ("truth", "groundtruth", "normalizedlabel", "normalisedlabel", "label", "latex")
"""Types of the annotation that holds the LaTeX, best first; case and signs do not count."""

_INKML = "http://www.w3.org/2003/InkML"
_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEGMENTATION = "Segmentation"  # CROHME's "truth" of the group around its symbols

_Drawn = dict[Element, list[tuple[int, int, int]]]
"""First point, the one after the last, and number of each stroke that is drawn from a trace."""


@dataclass(frozen=True, slots=True)
class InkDocument:
    """One InkML file.

    Attributes:
        ink: strokes in device units, in document order; symbols from the innermost trace groups,
            their tokens raw as annotated.
        latex: the label: an annotation `truth`, or what else it is called (`LABELS`), of the ink
            or of the one group around all traces; "" if there is none.
        writer: the `writer` annotation.
        ui: the `UI` annotation, a unique identifier of the recording.
        mathml: the MathML of the truth, serialised.
        symbol_ids: for each of `ink.symbols` the `xml:id` of its MathML element, or "".
    """

    ink: Ink
    latex: str
    writer: str | None = None
    ui: str | None = None
    mathml: str | None = None
    symbol_ids: tuple[str, ...] = ()


def looks_like_ink(data: bytes) -> bool:
    """Whether a file is ink rather than a picture: a text, in any encoding, that holds `<ink>`."""
    return has_ink(data)


def read_inkml(data: bytes, name: str) -> InkDocument:
    """Read one InkML file.

    Args:
        data: the file's content.
        name: the file's name, for error messages.

    Raises:
        InkError: not InkML, no strokes, too large, or coordinates that are not finite.
    """
    if not data.strip():
        raise InkError(f"{name}: the file is empty; remove it or fetch it again")
    if len(data) > MAX_BYTES:
        raise InkError(f"{name}: {len(data)} bytes is more than {MAX_BYTES} for one expression")
    root = parse_ink(data, name)
    traces = Traces(root, name)
    strokes, drawn = _strokes(traces, name)
    notes = _annotations(root)
    latex = _label(notes)
    whole = None if latex else _labelled_group(traces, drawn, len(strokes))
    symbols, symbol_ids = _symbols(traces, drawn, whole)
    if whole is not None:
        latex = _label(_annotations(whole))
    document = InkDocument(
        ink=Ink(strokes, symbols),
        latex=latex,
        writer=notes.get("writer") or None,
        ui=notes.get("ui", "").strip('"') or None,
        mathml=_mathml(root, name),
        symbol_ids=symbol_ids,
    )
    if REPLACED in document.latex:
        raise InkError(f"{name}: the text is not valid UTF-8; save the file as UTF-8")
    return document


def write_inkml(document: InkDocument) -> bytes:
    """The document as InkML (UTF-8); `read_inkml` gives it back.

    Raises:
        InkError: a text holds control characters, which XML cannot carry.
    """
    root = ElementTree.Element("ink", {"xmlns": _INKML})
    for kind, text in (
        ("UI", document.ui),
        ("writer", document.writer),
        ("truth", document.latex),
    ):
        if text:
            _annotate(root, kind, text)
    if document.mathml:
        holder = ElementTree.SubElement(
            root, "annotationXML", {"type": "truth", "encoding": "Content-MathML"}
        )
        holder.append(fromstring(document.mathml))
    for number, stroke in enumerate(document.ink.strokes):
        trace = ElementTree.SubElement(root, "trace", {"id": str(number)})
        trace.text = ", ".join(f"{x:.9g} {y:.9g}" for x, y in stroke.tolist())
    if document.ink.symbols:
        group = ElementTree.SubElement(root, "traceGroup")
        _annotate(group, "truth", _SEGMENTATION)
        for number, symbol in enumerate(document.ink.symbols):
            child = ElementTree.SubElement(group, "traceGroup")
            _annotate(child, "truth", symbol.token)
            for stroke_number in symbol.strokes:
                ElementTree.SubElement(child, "traceView", {"traceDataRef": str(stroke_number)})
            if number < len(document.symbol_ids) and document.symbol_ids[number]:
                ElementTree.SubElement(
                    child, "annotationXML", {"href": document.symbol_ids[number]}
                )
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _annotate(parent: ElementTree.Element, kind: str, text: str) -> None:
    if _UNWRITABLE.search(text):
        raise InkError(f"annotation {kind!r} holds control characters, which XML cannot carry")
    ElementTree.SubElement(parent, "annotation", {"type": kind}).text = text


def _strokes(traces: Traces, name: str) -> tuple[tuple[Points, ...], _Drawn]:
    """The strokes, and what of each trace they draw.

    Traces in `definitions` are drawn where a `traceView` outside names them, and as far as it does.
    """
    views: dict[Element, list[tuple[int, int | None]]] = {}
    for view in _outside_definitions(traces.root):
        if local(view) == "traceView":
            for trace, first, end in traces.parts(view):
                views.setdefault(trace, []).append((first, end))
    strokes: list[NDArray[np.float64]] = []
    drawn: _Drawn = {}
    for trace, points, runs, defined in traces.walk():
        prior = traces.prior(trace)
        if prior is not None and len(drawn.get(prior, ())) == 1 and not defined:
            number = drawn[prior][0][2]
            strokes[number] = np.concatenate([strokes[number], points])
            drawn[trace] = [(0, len(points), number)]
            continue
        shown = _united(views.get(trace, []), len(points)) if defined else [(0, len(points))]
        pieces = [(max(a, c), min(b, d)) for a, b in shown for c, d in runs]
        for first, end in ((first, end) for first, end in pieces if first < end):
            drawn.setdefault(trace, []).append((first, end, len(strokes)))
            strokes.append(points[first:end])
        if len(strokes) > MAX_STROKES:
            raise InkError(f"{name}: more than {MAX_STROKES} strokes for one expression")
    if not strokes:
        raise InkError(f"{name}: there is no trace with points in it")
    return placed(strokes, name), drawn


def placed(strokes: list[NDArray[np.float64]], name: str) -> tuple[Points, ...]:
    """The strokes as float32; far from the origin, where that is too coarse, they are moved.

    Raises:
        InkError: there are too many points, they are not finite, or too far apart.
    """
    points = np.concatenate(strokes)
    if len(points) > MAX_POINTS:
        raise InkError(f"{name}: {len(points)} points is more than {MAX_POINTS} for one expression")
    if not np.isfinite(points).all():
        raise InkError(f"{name}: a trace has coordinates that are not finite; write the ink again")
    origin = points.min(axis=0) if np.abs(points).max() > MAX_COORDINATE else np.zeros(2)
    if np.ptp(points, axis=0).max() > MAX_COORDINATE:
        raise InkError(f"{name}: the ink is more than 1e7 units wide or high; write it smaller")
    return tuple((stroke - origin).astype(np.float32) for stroke in strokes)


def _outside_definitions(root: Element) -> Iterator[Element]:
    """All elements in document order but `definitions` and what is in them."""
    stack = [root]
    while stack:
        element = stack.pop()
        if local(element) != "definitions":
            yield element
            stack.extend(reversed(element))


def _united(ranges: Sequence[tuple[int, int | None]], length: int) -> list[tuple[int, int]]:
    """Ranges of points as few that do not touch."""
    united: list[tuple[int, int]] = []
    for first, end in sorted((a, min(length if b is None else b, length)) for a, b in ranges):
        if united and first <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        elif first < end:
            united.append((first, end))
    return united


def _symbols(
    traces: Traces, drawn: _Drawn, whole: Element | None
) -> tuple[tuple[Symbol, ...], tuple[str, ...]]:
    """Symbols of the trace groups that hold strokes directly, but for the group of the `whole`.

    References to what is not drawn are dropped.
    """
    symbols: list[Symbol] = []
    symbol_ids: list[str] = []
    for group in traces.root.iter():
        token = _label(_annotations(group)) if local(group) == "traceGroup" else ""
        if not token or group is whole:
            continue
        held = [child for child in group if local(child) in ("trace", "traceView")]
        strokes = [number for child in held for number in _strokes_of(child, traces, drawn)]
        if strokes:
            symbols.append(Symbol(" ".join(token.split()), tuple(dict.fromkeys(strokes))))
            notes = [e for e in group if local(e) == "annotationXML"]
            symbol_ids.append(notes[-1].get("href") or "" if notes else "")
    return tuple(symbols), tuple(symbol_ids)


def _strokes_of(element: Element, traces: Traces, drawn: _Drawn) -> list[int]:
    """Numbers of the strokes of a trace, view or group."""
    return [
        number
        for trace, first, end in traces.parts(element)
        for begin, stop, number in drawn.get(trace, ())
        if first < stop and (end is None or begin < end)
    ]


def _labelled_group(traces: Traces, drawn: _Drawn, count: int) -> Element | None:
    """The one outermost group with a label, if all strokes are in it."""
    found: list[Element] = []
    stack = list(traces.root)
    while stack:
        element = stack.pop()
        label = _label(_annotations(element))
        if local(element) == "traceGroup" and label and label != _SEGMENTATION:
            found.append(element)
        elif not label:
            stack.extend(element)
    if len(found) != 1 or len(set(_strokes_of(found[0], traces, drawn))) < count:
        return None
    return found[0]


def _label(notes: Mapping[str, str]) -> str:
    return next((notes[kind] for kind in LABELS if notes.get(kind)), "")


def _annotations(element: Element) -> dict[str, str]:
    """The element's own annotations by type, in lower case and without signs; the first of each."""
    notes: dict[str, str] = {}
    for child in element:
        if local(child) == "annotation":
            # Some of CROHME's truths have their type under a misspelt name.
            named = child.get("type") or next(iter(child.attrib.values()), "")
            kind = re.sub(r"[\W_]", "", named).lower()
            notes.setdefault(kind, (child.text or "").strip())
    return notes


def _mathml(root: ElementTree.Element, name: str) -> str | None:
    notes = [e[0] for e in root if local(e) == "annotationXML" and len(e)]
    # Others hold what a program notes of its own (EMMA, names of devices).
    holder = next((note for note in notes if local(note) == "math"), notes[0] if notes else None)
    if holder is None:
        return None
    try:
        return ElementTree.tostring(holder, encoding="unicode")
    except RecursionError:
        raise InkError(f"{name}: the MathML is nested too deeply") from None
