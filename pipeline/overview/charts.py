"""Small inline SVG for the front page: the graph of stages, and charts that follow its theme.

All colours are CSS variables of the page, so that one drawing serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from pipeline.tracking.lineage import StageStory

WIDTH, HEIGHT = 520, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 38
BOX, TALL, GAP_X, GAP_Y = 128, 74, 26, 22
POINTS = 240
"""Points of a line that are drawn; more cannot be told apart."""


class Series(NamedTuple):
    """A line: its name, and (x, y) points by x."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def line_chart(
    series: Sequence[Series],
    x: str,
    y: str,
    *,
    zero: bool = False,
    percent: bool = False,
    width: int = WIDTH,
) -> Markup:
    """Lines with axes and a legend; nothing where there is no point.

    Args:
        series: the lines.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        zero: whether the vertical axis begins at 0, as the horizontal one always does.
        percent: both axes go from 0 to 100, and the line on which they agree is drawn.
        width: of the drawing, whose height is fixed: small for a narrow card.
    """
    drawn = [line._replace(points=_thin(line.points)) for line in series if line.points]
    if not drawn:
        return Markup()
    xs = [px for line in drawn for px, _ in line.points]
    ys = [py for line in drawn for _, py in line.points]
    across = _ticks(0.0, 100.0 if percent else max(xs))
    up = _ticks(0.0, 100.0) if percent else _ticks(min([0.0, *ys] if zero else ys), max(ys))
    plot = _Plot(across, up, width)
    parts = [plot.grid(x, y)]
    if percent:
        parts.append(f'<path class="rule" d="{plot.path([(0, 0), (100, 100)])}"/>')
    for index, line in enumerate(drawn):
        dashed = ' stroke-dasharray="5 4"' if line.dashed else ""
        color = f"var(--s{index % 5})"
        parts.append(f'<path class="line" stroke="{color}"{dashed} d="{plot.path(line.points)}"/>')
        if len(line.points) <= 24:
            parts += [
                f'<circle cx="{plot.x(px):.1f}" cy="{plot.y(py):.1f}" r="3" fill="{color}">'
                f"<title>{escape(line.name)}: {py:.4g} at {px:g}</title></circle>"
                for px, py in line.points
            ]
    legend = "".join(
        f'<span><i style="background:var(--s{index % 5})"></i>{escape(line.name)}</span>'
        for index, line in enumerate(drawn)
    )
    return Markup(
        f'<div class="legend">{legend}</div>'
        f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(y)} by {escape(x)}">'
        f"{''.join(parts)}</svg>"
    )


def gain_chart(low: float, mean: float, high: float, worse: float, margin: float) -> Markup:
    """The gain over the champion with its interval, on a line with the gate's two limits."""
    reach = 1.2 * max(abs(low), abs(high), 1.5 * worse, 1.5 * margin, 1e-6)
    across = _ticks(-reach, reach, 7)

    def at(value: float) -> float:
        return 20 + (value - across[0]) / (across[-1] - across[0]) * 560

    ticks = "".join(
        f'<text class="tick" x="{at(t):.1f}" y="74" text-anchor="middle">{_signed(t)}</text>'
        for t in across
    )
    return Markup(
        '<svg viewBox="0 0 600 84" role="img" aria-label="gain over the champion">'
        f'<rect x="20" y="10" width="{at(-worse) - 20:.1f}" height="46" fill="var(--bad)" '
        'opacity=".13"/>'
        f'<rect x="{at(margin):.1f}" y="10" width="{580 - at(margin):.1f}" height="46" '
        'fill="var(--good)" opacity=".13"/>'
        f'<path class="rule" d="M{at(0):.1f} 6V60"/><path class="axis" d="M20 58H580"/>{ticks}'
        f'<path d="M{at(low):.1f} 33H{at(high):.1f}" stroke="var(--text)" stroke-width="3"/>'
        f'<path d="M{at(low):.1f} 26v14M{at(high):.1f} 26v14" stroke="var(--text)" '
        'stroke-width="2"/>'
        f'<circle cx="{at(mean):.1f}" cy="33" r="7" fill="var(--accent)" stroke="var(--card)" '
        'stroke-width="2"/></svg>'
    )


def graph_chart(stages: Sequence[StageStory]) -> Markup:
    """The stages as boxes from left to right, with what happened to each and its time."""
    needs = {stage.name: set(stage.needs) for stage in stages}
    depth: dict[str, int] = {}
    for stage in stages:  # dvc.yaml may name them in any order: settle by repetition
        _depth(stage.name, needs, depth)
    columns: dict[int, list[str]] = {}
    for name in needs:
        columns.setdefault(depth[name], []).append(name)
    tallest = max(len(column) for column in columns.values())
    height = tallest * (TALL + GAP_Y) - GAP_Y + 8
    place = {
        name: (
            4 + column * (BOX + GAP_X),
            (height - len(names) * (TALL + GAP_Y) + GAP_Y) / 2 + row * (TALL + GAP_Y),
        )
        for column, names in columns.items()
        for row, name in enumerate(names)
    }
    edges = "".join(
        _edge(place[need], place[name])
        for name, wanted in needs.items()
        for need in sorted(wanted)
        if need in place and not _indirect(need, wanted - {need}, needs)
    )
    boxes = "".join(_box(stage, place[stage.name]) for stage in stages)
    width = 8 + len(columns) * (BOX + GAP_X) - GAP_X
    return Markup(
        f'<svg class="graph" viewBox="0 0 {width} {height:.0f}" style="min-width:{width * 0.8:.0f}'
        f'px" role="img" aria-label="the stages and what happened to them">{edges}{boxes}</svg>'
    )


def duration(seconds: float | None) -> str:
    """A time that a person reads at a glance."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


class _Plot:
    """The scales of a chart."""

    def __init__(self, across: list[float], up: list[float], width: int) -> None:
        self.across, self.up, self.width = across, up, width

    def x(self, value: float) -> float:
        share = (value - self.across[0]) / (self.across[-1] - self.across[0])
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.up[0]) / (self.up[-1] - self.up[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.x(px):.1f} {self.y(py):.1f}" for px, py in points)

    def grid(self, x: str, y: str) -> str:
        floor = HEIGHT - BOTTOM
        lines = "".join(
            f'<path class="grid" d="M{LEFT} {self.y(t):.1f}H{self.width - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{self.y(t) + 4:.1f}" text-anchor="end">{t:g}'
            "</text>"
            for t in self.up
        )
        marks = "".join(
            f'<text class="tick" x="{self.x(t):.1f}" y="{floor + 16}" text-anchor="middle">{t:g}'
            "</text>"
            for t in self.across
        )
        return (
            f'{lines}<path class="axis" d="M{LEFT} {floor}H{self.width - RIGHT}"/>{marks}'
            f'<text class="label" x="{self.width - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">'
            f"{escape(x)}</text>"
            f'<text class="label" x="0" y="11">{escape(y)}</text>'
        )


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers around [low, high]."""
    if not high > low:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 10) for index in range(first, last + 1)]


def _signed(value: float) -> str:
    return f"{value:+g}" if value else "0"


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS` points: means of neighbours."""
    width = -(-len(points) // POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def _depth(name: str, needs: dict[str, set[str]], depth: dict[str, int]) -> int:
    if name not in depth:
        depth[name] = 1 + max(
            (_depth(need, needs, depth) for need in needs.get(name, ())), default=-1
        )
    return depth[name]


def _indirect(need: str, others: set[str], needs: dict[str, set[str]]) -> bool:
    """Whether one of `others` rests on `need` already: its edge says so."""
    return any(need in needs[o] or _indirect(need, needs[o], needs) for o in others if o in needs)


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + BOX, start[1] + TALL / 2, end[0], end[1] + TALL / 2
    bend = (x2 - x1) / 2
    return (
        f'<path class="edge" d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} '
        f'{y2:.0f} {x2 - 5:.0f} {y2:.0f}"/>'
        f'<path class="head" d="M{x2 - 1:.0f} {y2:.0f}l-7 -4v8z"/>'
    )


def _box(stage: StageStory, place: tuple[float, float]) -> str:
    x, y = place
    time = duration(stage.seconds)
    return (
        f'<g class="stage {stage.state}"><rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" '
        f'height="{TALL}" rx="9"/>'
        f'<text class="name" x="{x + 14:.0f}" y="{y + 25:.0f}">{escape(stage.name)}</text>'
        f'<circle cx="{x + 18:.0f}" cy="{y + 41:.0f}" r="4"/>'
        f'<text class="what" x="{x + 28:.0f}" y="{y + 45:.0f}">{stage.state}</text>'
        f'<text class="time" x="{x + 14:.0f}" y="{y + 63:.0f}">{time}</text></g>'
    )
