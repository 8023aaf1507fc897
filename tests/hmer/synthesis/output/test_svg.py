import numpy as np
import pytest
from defusedxml.ElementTree import fromstring

from hmer.errors import InkError
from hmer.ink.strokes import Ink, Symbol
from hmer.synthesis.output.svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_strokes_are_grouped_by_symbol() -> None:
    strokes = (np.array([(1, 2), (3, 4)], np.float32), np.array([(5, 5)], np.float32))
    loose = (*strokes, np.array([(0, 0), (1, 1)], np.float32))
    root = fromstring(to_svg(Ink(loose, (Symbol(r"\alpha", (0, 1)),)), margin=0.5))
    assert root.get("viewBox") == "-0.500 -0.500 6.000 6.000"
    group, last = root[0], root[1]
    assert [title.text for title in group.iter(f"{SVG}title")] == [r"\alpha"]
    lines = [line.get("points") for line in group.iter(f"{SVG}polyline")]
    assert lines == ["1.000,2.000 3.000,4.000", "5.000,5.000 5.000,5.000"]
    assert last.get("points") == "0.000,0.000 1.000,1.000"


def test_nothing_to_draw() -> None:
    with pytest.raises(InkError, match="without points"):
        to_svg(Ink(()))
