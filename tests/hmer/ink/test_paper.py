"""Paper that is drawn in an SVG is not read; lines and dots that are written are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.ink.paper import on_paper
from hmer.ink.svg import read_svg

X = '<path d="M100 100l43 61m1 -59l-47 62" stroke="#111" stroke-width="3"/>'
BAR = '<path d="M90 180H160" stroke="#111" stroke-width="3"/>'
DOT = '<circle cx="153" cy="172" r="2" fill="#111" stroke="none"/>'


def lines(axis: str, step: float = 20, end: float = 400) -> str:
    """From edge to edge, as in paths of their own."""
    one, other = ("V", "M{0} 0") if axis == "x" else ("H", "M0 {0}")
    places = range(int(end / step) + 1)
    return "".join(f'<path d="{other.format(n * step)}{one}{end}"/>' for n in places)


def count(*parts: str) -> int:
    body = f'<g stroke="#ccd" stroke-width="1">{parts[0]}</g>{"".join(parts[1:])}'
    data = f'<svg xmlns="http://www.w3.org/2000/svg" stroke="black" fill="none">{body}</svg>'
    return len(read_svg(data.encode(), "a.svg").strokes)


PAPER = {
    "squared": lines("x") + lines("y"),
    "ruled": lines("y"),
    "coarse": lines("x", 130, 260) + lines("y", 130, 260),
    "margin": lines("y") + '<line x1="40" y1="0" x2="40" y2="400" stroke="red"/>',
    "heavier lines": lines("x") + lines("y") + lines("x", 100) + lines("y", 100),
    "one path": '<path d="' + "".join(f"M0 {n}h400M{n} 0v400" for n in range(0, 401, 20)) + '"/>',
    "a frame": lines("y") + '<path d="M0 0H400V400H0Z"/>',
    "a frame alone": '<path d="M0 0H400V400H0Z"/>',
    "dotted": "".join(
        f'<circle cx="{x}" cy="{y}" r="1" fill="#ccd" stroke="none"/>'
        for x in range(0, 401, 20)
        for y in range(0, 401, 20)
    ),
    "squares": "".join(
        f'<path d="M{x} {y}h20v20h-20z"/>' for x in range(0, 400, 20) for y in range(0, 400, 20)
    ),
    "moved": f'<g transform="translate(7 5) scale(1.1)">{lines("x")}{lines("y")}</g>',
}  # fmt: skip


@pytest.mark.parametrize("paper", PAPER)
def test_paper_is_not_read(paper: str) -> None:
    assert count(PAPER[paper], X, BAR, DOT) == 4


@pytest.mark.parametrize(
    "axes",
    [
        '<path d="M0 300H400M200 0V400"/>',
        '<line x1="20" y1="380" x2="400" y2="380"/><line x1="20" y1="0" x2="20" y2="380"/>',
        '<path d="M200 400V0"/><path d="M0 200H400" stroke="#111" stroke-width="3"/>',
    ],
)
def test_axes_beside_the_writing_are_not_read(axes: str) -> None:
    assert count(axes, X, BAR, DOT) == 4


def test_paper_of_the_pen_s_colour_needs_more_lines() -> None:
    def like_ink(paper: str) -> str:
        return f'<g stroke="#111" stroke-width="3">{paper}</g>'

    assert count(like_ink(lines("y")), X) == 2
    assert count(like_ink(lines("y", 80)), X) == 2 + 6


@pytest.mark.parametrize(
    "written",
    [
        # Bars of fractions, signs and tallies are lines, too.
        "".join(f'<path d="M0 {y}H100"/>' for y in (0, 50, 100)) + X,
        "".join(f'<path d="M90 {y}h60"/>' for y in (0, 9, 60, 69, 130, 139)) + X,
        "".join(f'<path d="M{x} 90V170"/>' for x in (200, 220, 240, 260)) + X,
        "".join(f'<path d="M{x} 0V400"/>' for x in (90, 100, 140, 160)) + X,
        "".join(f'<path d="M90 {y}H160"/>' for y in (0, 20, 40, 60)),
        '<path d="M90 120H160M90 140H160M110 90V160M130 90V160"/>',
        DOT + X,
        '<path d="M170 130h70M205 95v70"/>' + X,  # a plus
        '<path d="M90 90h120M150 30v120M90 170h120"/>',  # one with a minus below
        '<path d="M90 180H400M200 0V90"/>' + X,  # a bar, and another far from it
        '<path d="M90 90H150V150H90Z"/><path d="M200 90H260V150H200Z"/>' + X,
    ],
)
def test_what_is_written_stays(written: str) -> None:
    inner = written.count("M") + written.count("m1 ") + written.count("<circle")
    assert count(written) == inner


def test_paper_alone_is_read_as_it_is() -> None:
    assert count(lines("y")) == 21


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=3)


@given(st.lists(POINTS, min_size=1, max_size=12))
def test_something_is_always_written(strokes: list[list[tuple[int, int]]]) -> None:
    kept = on_paper([np.array(one, np.float32) for one in strokes], ["pen"] * len(strokes))
    assert kept.any() and len(kept) == len(strokes)
