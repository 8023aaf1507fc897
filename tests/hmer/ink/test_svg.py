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


@pytest.mark.parametrize(
    "selector", ["path", "*", "#p", ".pen", "path.pen", "#g path", "g>path, g > .pen", "a, .pen"]
)
def test_style_sheets(selector: str) -> None:
    sheet = f"<style><![CDATA[/* pens */ {selector} {{ FILL: none; Stroke: #000 }}]]></style>"
    body = f'{sheet}<g id="g"><path id="p" class="big pen" d="M0 0L1 0"/></g>'
    assert strokes(body, "") == [[[0, 0], [1, 0]]]


@pytest.mark.parametrize(
    "style",
    [
        'stroke-width="0"',
        'stroke-width="0.0px"',
        'stroke-opacity="0"',
        'opacity="0"',
        'style="opacity: 0%"',
        'visibility="collapse"',
        'stroke="rgba(0, 0, 0, 0)"',
        'stroke="rgb(0 0 0 / 0%)"',
        'stroke="#1230"',
        'stroke="#11223300"',
        'display="none"',
    ],
)
def test_what_is_not_seen_is_not_read(style: str) -> None:
    for hidden in (f'<path {style} d="M0 0L1 0"/>', f'<g {style}><path d="M0 0L1 0"/></g>'):
        assert strokes(f'{hidden}<path stroke="rgb(0,0,0)" d="M5 0L6 0"/>') == [[[5, 0], [6, 0]]]


def test_white_beside_other_colours_may_have_erased_them() -> None:
    black, white = '<path d="M0 0L1 0"/>', '<path stroke="{}" d="M5 0L6 0"/>'
    for colour in ("white", "#FFF", "rgb(255, 255, 255)"):
        with pytest.raises(InkError, match="an eraser's; export it as PNG"):
            strokes(black + white.format(colour))
        assert len(strokes(white.format(colour) * 2 + '<rect width="9" fill="#111"/>')) == 2


def test_drawings_in_drawings_and_moves_by_style() -> None:
    path = '<path d="M0 0L1 0"/>'
    assert strokes(f'<svg x="5" y="6">{path}</svg>') == [[[5, 6], [6, 6]]]
    inner = '<svg x="5" viewBox="-1 0 10 10" width="20px" height="40">'
    assert strokes(f"{inner}{path}</svg>") == [[[7, 10], [9, 10]]]
    assert strokes(f'<g style="transform: translate(2px, 3px)">{path}</g>') == [[[2, 3], [3, 3]]]
    other = '<foreignObject requiredExtensions="x"/>'
    assert strokes(f"<switch>{other}<g>{path}</g><text>x</text></switch>") == [[[0, 0], [1, 0]]]


def test_a_filled_circle_is_a_dot() -> None:
    assert strokes('<circle cx="3" cy="4" r="2"/>', "") == [[[3, 4]]]
    assert len(strokes('<circle cx="3" cy="4" r="2"/>')[0]) > 12


@pytest.mark.parametrize(
    "data",
    [
        b"\n " + drawing("<path d='M0 0L1 0'/>"),
        b'<?xml version="1.0"?><!--' + b"x" * 9000 + b"-->" + drawing("<path d='M0 0L1 0'/>"),
        drawing("<path d='M0 0L1 0'/>") + b"\0\0",
        drawing("<title>\xfc</title><path d='M0 0L1 0'/>").decode().encode("cp1252"),
        drawing("<path d='M0 0L1 0'/>").decode().encode("utf-16"),
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" []>'
        + drawing("<path d='M0 0L1 0'/>"),
    ],
)
def test_encodings_and_what_stands_around(data: bytes) -> None:
    assert looks_like_svg(data)
    assert read_svg(data, "a.svg").strokes[0].tolist() == [[0, 0], [1, 0]]


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
    with pytest.raises(InkError, match="entities"):
        read_svg(bomb, "a.svg")
