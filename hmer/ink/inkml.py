"""InkML, the W3C format of pen input, as far as handwritten mathematics uses it.

Read tolerantly (namespaces, extra channels, either kind of trace identifier, stray bytes outside
what we use), refuse clearly: everything wrong with a file is an `InkError` that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hmer.errors import InkError
from hmer.ink.markup import has_ink
from hmer.ink.strokes import Ink, Points, Symbol

MAX_BYTES = 16 * 2**20
MAX_STROKES = 5_000
MAX_STROKE_POINTS = 50_000
MAX_POINTS = 250_000
MAX_COORDINATE = 1e7  # float32 still resolves single device units there

_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_INKML = "http://www.w3.org/2003/InkML"
_REPLACED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class InkDocument:
    """One InkML file.

    Attributes:
        ink: strokes in device units, in document order; symbols from the innermost trace groups,
            their tokens raw as annotated.
        latex: the `truth` annotation, "" if there is none.
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
    root, repaired = _parse(data, name)
    if _local(root) != "ink":
        raise InkError(f"{name}: the root element is <{_local(root)}>, not <ink>: not InkML")
    columns = _xy_columns(root, name)
    strokes: list[Points] = []
    index: dict[str, int] = {}
    of_element: dict[ElementTree.Element, int] = {}
    for element in root.iter():
        if _local(element) != "trace":
            continue
        points = _points(element.text or "", columns, name)
        if not len(points):
            continue
        of_element[element] = len(strokes)
        index[element.get("id") or element.get(_XML_ID) or f"#{len(strokes)}"] = len(strokes)
        strokes.append(points)
        if len(strokes) > MAX_STROKES or sum(map(len, strokes[-1:])) > MAX_STROKE_POINTS:
            raise InkError(f"{name}: more than {MAX_STROKES} strokes for one expression")
    if not strokes:
        raise InkError(f"{name}: there is no trace with points in it")
    total = sum(len(stroke) for stroke in strokes)
    if total > MAX_POINTS:
        raise InkError(f"{name}: {total} points is more than {MAX_POINTS} for one expression")
    symbols, symbol_ids = _symbols(root, index, of_element)
    notes = _annotations(root)
    document = InkDocument(
        ink=Ink(tuple(strokes), symbols),
        latex=notes.get("truth", ""),
        writer=notes.get("writer") or None,
        ui=notes.get("UI", "").strip('"') or None,
        mathml=None if repaired else _mathml(root, name),
        symbol_ids=symbol_ids,
    )
    if repaired and _REPLACED in document.latex + (document.writer or ""):
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
        _annotate(group, "truth", "Segmentation")
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
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text):
        raise InkError(f"annotation {kind!r} holds control characters, which XML cannot carry")
    ElementTree.SubElement(parent, "annotation", {"type": kind}).text = text


def _parse(data: bytes, name: str) -> tuple[ElementTree.Element, bool]:
    """The XML tree, and whether bytes that are not UTF-8 had to be replaced to get it."""
    try:
        return fromstring(data), False
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        reason = str(error).strip() or type(error).__name__
        if isinstance(error, DefusedXmlException):
            raise InkError(f"{name}: XML with entities or a DTD is refused ({reason})") from error
    text = data.decode("utf-8", errors="replace")
    if _REPLACED in text:
        try:
            return fromstring(text.encode()), True
        except (ElementTree.ParseError, LookupError, ValueError):
            pass
    raise InkError(f"{name}: not well-formed XML ({reason}); the file may be cut short")


def _local(element: ElementTree.Element) -> str:
    """The element's name without its namespace; "" for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _xy_columns(root: ElementTree.Element, name: str) -> tuple[int, int]:
    """Where X and Y stand among the channels; the first two unless a format says otherwise."""
    names = [(e.get("name") or "").upper() for e in root.iter() if _local(e) == "channel"]
    if not names:
        return 0, 1
    if "X" not in names or "Y" not in names:
        raise InkError(f"{name}: the trace format has no X and Y channels")
    return names.index("X"), names.index("Y")


def _points(text: str, columns: tuple[int, int], name: str) -> Points:
    rows = [row for row in text.split(",") if row and not row.isspace()]
    if len(rows) > MAX_STROKE_POINTS:
        raise InkError(
            f"{name}: a stroke of {len(rows)} points is more than {MAX_STROKE_POINTS}; resample it"
        )
    if not rows:
        return np.empty((0, 2), np.float32)
    try:
        values = np.array(" ".join(rows).split(), np.float64)
        if values.size % len(rows):
            raise ValueError
        table = values.reshape(len(rows), -1)
        points = np.stack([table[:, columns[0]], table[:, columns[1]]], axis=1)
    except (ValueError, IndexError, OverflowError):
        raise InkError(
            f"{name}: a trace is not a list of points 'x y, x y, ...' of plain numbers"
        ) from None
    if not np.isfinite(points).all() or np.abs(points).max() > MAX_COORDINATE:
        raise InkError(f"{name}: a trace has coordinates that are not finite or beyond 1e7")
    return points.astype(np.float32)


def _symbols(
    root: ElementTree.Element,
    index: dict[str, int],
    of_element: dict[ElementTree.Element, int],
) -> tuple[tuple[Symbol, ...], tuple[str, ...]]:
    """Symbols of the trace groups that hold strokes directly; unknown references are dropped."""
    symbols: list[Symbol] = []
    symbol_ids: list[str] = []
    for group in root.iter():
        if _local(group) != "traceGroup":
            continue
        token, href, strokes = "", "", []
        for child in group:
            kind = _local(child)
            if kind == "annotation" and child.get("type") == "truth":
                token = (child.text or "").strip()
            elif kind == "annotationXML":
                href = child.get("href") or ""
            elif kind == "traceView":
                reference = child.get("traceDataRef") or ""
                number = index.get(reference, index.get(reference.removeprefix("#")))
                if number is not None:
                    strokes.append(number)
            elif child in of_element:
                strokes.append(of_element[child])
        if strokes and token:
            symbols.append(Symbol(token, tuple(dict.fromkeys(strokes))))
            symbol_ids.append(href)
    return tuple(symbols), tuple(symbol_ids)


def _annotations(root: ElementTree.Element) -> dict[str, str]:
    """The document's own annotations by type, the first of each."""
    notes: dict[str, str] = {}
    for element in root:
        if _local(element) == "annotation":
            notes.setdefault(element.get("type") or "", (element.text or "").strip())
    return notes


def _mathml(root: ElementTree.Element, name: str) -> str | None:
    holder = next((element for element in root if _local(element) == "annotationXML"), None)
    if holder is None or not len(holder):
        return None
    try:
        return ElementTree.tostring(holder[0], encoding="unicode")
    except RecursionError:
        raise InkError(f"{name}: the MathML is nested too deeply") from None
