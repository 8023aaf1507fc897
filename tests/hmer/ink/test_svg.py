"""SVG as programs write it gives the strokes that it shows."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.errors import InkError
from hmer.ink.strokes import Ink, Symbol
from hmer.ink.svg import looks_like_svg, read_svg
from hmer.synthesis.output import to_svg


def drawing(body: str, root: str = 'stroke="black" fill="none"') -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {root}>{body}</svg>'.encode()


def strokes(body: str, root: str = 'stroke="black" fill="none"') -> list[list[list[float]]]:
    found = read_svg(drawing(body, root), "a.svg").strokes
    return [np.round(stroke, 3).tolist() for stroke in found]


def test_what_is_written_is_read_back() -> None:
    ink = Ink(
        (np.array([[0, 0], [1, 2]], np.float32), np.array([[3, 1]], np.float32)),
        (Symbol("x", (0,)), Symbol(".", (1,))),
    )
    assert looks_like_svg(to_svg(ink))
    line, dot = read_svg(to_svg(ink), "a.svg").strokes
    assert line.tolist() == [[0, 0], [1, 2]] and (dot == [3, 1]).all()


@pytest.mark.parametrize(
    ("path", "points"),
    [
        ("M1 2L3 4", [[1, 2], [3, 4]]),
        ("m1,2 2,2h3v-4", [[1, 2], [3, 4], [6, 4], [6, 0]]),
        ("M1 1l1 0 0 1z", [[1, 1], [2, 1], [2, 2], [1, 1]]),
        ("M.5.5-1-1e1", [[0.5, 0.5], [-1, -10]]),
    ],
)
def test_lines(path: str, points: list[list[float]]) -> None:
    assert strokes(f'<path d="{path}"/>') == [points]


def test_subpaths_are_strokes() -> None:
    assert strokes('<path d="M0 0L1 0M5 5m1 1 1 0zl0 2"/>') == [
        [[0, 0], [1, 0]],
        [[6, 6], [7, 6], [6, 6], [6, 8]],
    ]


@pytest.mark.parametrize(
    "path",
    [
        "M0 1A1 1 0 0 1 1 0",
        "M0 1a1,1 0 01 1-1",  # flags need nothing between them
        "M0 1C0 .4477.4477 0 1 0",
        "M0 1C0 .4477 .4477 0 1 0S2 .4477 2 1",
    ],
)
def test_curves_are_round(path: str) -> None:
    (line,) = read_svg(drawing(f'<path d="{path}"/>'), "a.svg").strokes
    assert len(line) > 6
    assert np.hypot(*(line - (1, 1)).T) == pytest.approx(np.ones(len(line)), abs=0.01)


def test_quadratic_curves() -> None:
    (line,) = read_svg(drawing('<path d="M0 0Q1 1 2 0T4 0"/>'), "a.svg").strokes
    assert line[[0, 6, 12, 18, 24]].tolist() == [[0, 0], [1, 0.5], [2, 0], [3, -0.5], [4, 0]]


def test_an_arc_that_is_too_small_is_made_larger() -> None:
    (line,) = read_svg(drawing('<path d="M0 0A1 1 0 1 1 10 0"/>'), "a.svg").strokes
    assert line[:, 1].min() == pytest.approx(-5, abs=0.1) and line[-1].tolist() == [10, 0]


def test_groups_and_what_is_used_are_moved() -> None:
    body = (
        '<defs><path id="p" d="M0 0L1 0"/></defs>'
        '<g transform="translate(10 20) scale(2)"><use href="#p" x="1"/></g>'
        '<path transform="rotate(90 1 1)" d="M1 0V1"/>'
        '<path transform="matrix(1 0 0 -1 0 9)" d="M0 0L0 9"/>'
        '<svg><polyline points="5,5 6,6"/><line x1="1" y2="2"/></svg>'
    )
    assert strokes(body) == [
        [[12, 20], [14, 20]],
        [[2, 1], [1, 1]],
        [[0, 9], [0, 0]],
        [[5, 5], [6, 6]],
        [[1, 0], [0, 2]],
    ]


def test_style_of_any_kind_says_what_is_drawn() -> None:
    path = '<path {} d="M0 0L{} 0"/>'
    body = "".join(
        path.format(style, number)
        for number, style in enumerate(
            (
                'style="fill:none;stroke:#000"',
                'class="pen"',
                'class="pen" display="none"',
                'class="pen" style="visibility:hidden"',
                'stroke="none" fill="white"',  # the paper
                'fill="rgb(100%, 100%, 100%)"',
            ),
            1,
        )
    )
    sheet = "<style>.pen{fill:none;stroke:red}</style>"
    assert strokes(f'{sheet}<rect width="9" height="9"/>{body}', "") == [
        [[0, 0], [1, 0]],
        [[0, 0], [2, 0]],
    ]


def test_pieces_that_meet_are_one_stroke() -> None:
    assert strokes('<path d="M0 0L1 0"/><path stroke-width="2" d="M1 0L2 1"/>') == [
        [[0, 0], [1, 0], [2, 1]]
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<path d="M0 0L1 0"/><path stroke="none" fill="red" d="M0 0L1 0"/>', "a filled shape"),
        ('<path d="M0 0L1 0"/><g><text x="1">x</text></g>', "a text"),
        ("", "no pen strokes"),
        ('<path d="M0 0L1"/>', "a path that is none"),
        ('<path d="1 2 3"/>', "a path that is none"),
        ('<path d="M0 0L9e99 9e99"/>', "1e7 units"),
        ('<path d="M0 0L1 1" transform="matrix(1)"/>', "a transform"),
        ('<g id="a"><use href="#a"/></g>', "nested too deeply"),
        ("<g>" * 200 + "</g>" * 200, "nested too deeply"),
        ("<path", "cannot be read"),
        (f'<path d="M0 0h{"1 " * 200}"/>', "over 100 pieces"),
    ],
)
def test_what_is_no_ink_is_told(monkeypatch: pytest.MonkeyPatch, body: str, reason: str) -> None:
    monkeypatch.setattr("hmer.ink.svg.MAX_STROKE_POINTS", 100)
    with pytest.raises(InkError, match=f"a.svg: .*{reason}"):
        strokes(body)


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>'
    assert looks_like_svg(bomb) and not looks_like_svg(b"<html><svg/></html>")
    with pytest.raises(InkError, match="cannot be read"):
        read_svg(bomb, "a.svg")
