"""Output of ink as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from hmer.errors import InkError
from hmer.ink.strokes import Ink

_NAMESPACE = "http://www.w3.org/2000/svg"


def to_svg(ink: Ink, unit: float = 40.0, pen: float = 0.1, margin: float = 0.25) -> bytes:
    """The ink as SVG (UTF-8): one polyline per stroke, grouped by symbol with its token as title.

    Args:
        ink: in symbol units.
        unit: pixels per symbol unit, for the picture's nominal size.
        pen: width of the line in symbol units.
        margin: blank border in symbol units.

    Raises:
        InkError: there is no point.
    """
    if not any(len(stroke) for stroke in ink.strokes):
        raise InkError("ink without points cannot be drawn")
    left, top, right, bottom = ink.bounds()
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": _NAMESPACE,
            "viewBox": f"{left - margin:.3f} {top - margin:.3f} {width:.3f} {height:.3f}",
            "width": f"{width * unit:.0f}",
            "height": f"{height * unit:.0f}",
            "fill": "none",
            "stroke": "black",
            "stroke-width": f"{pen:g}",
            "stroke-linecap": "round",
            "stroke-linejoin": "round",
        },
    )
    rest = set(range(len(ink.strokes)))
    for symbol in ink.symbols:
        group = ElementTree.SubElement(root, "g")
        ElementTree.SubElement(group, "title").text = symbol.token
        for number in symbol.strokes:
            _stroke(group, ink, number)
            rest.discard(number)
    for number in sorted(rest):
        _stroke(root, ink, number)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _stroke(parent: ElementTree.Element, ink: Ink, number: int) -> None:
    points = ink.strokes[number].tolist()
    if len(points) == 1:  # a line of no length, drawn as a dot by its round ends
        points = points * 2
    text = " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
    ElementTree.SubElement(parent, "polyline", {"points": text})
