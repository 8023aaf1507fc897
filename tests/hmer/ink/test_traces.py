"""Formats, contexts, groups and views."""

from __future__ import annotations

import pytest

from hmer.errors import InkError
from hmer.ink.inkml import read_inkml

XY = '<traceFormat{0}><channel name="X"/><channel name="Y"/></traceFormat>'
TYX = '<traceFormat{0}><channel name="T"/><channel name="Y"/><channel name="X"/></traceFormat>'
NAMED = TYX.format(" id='f'")
TWO = (
    f'<context xml:id="a">{XY.format("")}</context>'
    f'<context id="b"><inkSource>{TYX.format("")}</inkSource></context>'
)


def strokes(body: str) -> list[list[list[float]]]:
    return [
        stroke.tolist() for stroke in read_inkml(f"<ink>{body}</ink>".encode(), "a").ink.strokes
    ]


ONE_TWO = [[[1.0, 2.0]]]


@pytest.mark.parametrize(
    "body",
    [
        f'<definitions>{TWO}</definitions><trace contextRef="#b">7 2 1</trace>',
        f'<definitions>{TWO}</definitions><trace contextRef="a">1 2</trace>',
        f'<definitions>{TWO}</definitions><traceGroup contextRef="#b"><traceGroup>'
        "<trace>7 2 1</trace></traceGroup></traceGroup>",
        f'<definitions>{TWO}</definitions><traceGroup contextRef="#b">'
        '<trace contextRef="#a">1 2</trace></traceGroup>',
        f"<definitions>{TWO}</definitions><trace>1 2</trace>",  # InkML's default
        f'<definitions>{TWO}</definitions><context contextRef="#b"/><trace>7 2 1</trace>',
        f"<definitions>{XY.format('')}</definitions>{TYX.format('')}<trace>7 2 1</trace>",
        f'<definitions>{NAMED}<context id="c" '
        f'traceFormatRef="#f"/>{XY.format("")}</definitions><trace contextRef="#c">7 2 1</trace>',
        f'<definitions><inkSource id="s">{TYX.format("")}</inkSource>{XY.format("")}'
        '<context id="c" inkSourceRef="#s"/></definitions><trace contextRef="#c">7 2 1</trace>',
        f'<definitions><context id="c">{TYX.format("")}</context></definitions>'
        "<trace>7 2 1</trace>",
        f'<definitions><context id="c">{TYX.format("")}</context></definitions>'
        '<trace contextRef="#gone">7 2 1</trace>',
        f"<trace>7 2 1</trace>{TYX.format('')}",
        '<traceFormat><regularChannels><channel name="y"/><channel name="x"/></regularChannels>'
        '<intermittentChannels><channel name="B"/></intermittentChannels></traceFormat>'
        "<trace>2 1</trace>",
    ],
)  # fmt: skip
def test_each_trace_is_read_by_its_own_format(body: str) -> None:
    assert strokes(body) == ONE_TWO


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            f'<definitions>{TWO}</definitions><trace contextRef="#c">1 2</trace>',
            "names the context",
        ),
        (f"<definitions>{TWO}</definitions><trace>7 2 1</trace>", "several trace formats"),
        ('<traceFormat><channel name="X"/></traceFormat><trace>1 2</trace>', "X and Y"),
        (f"{TYX.format('')}<trace>7 2 1, 2 1</trace>", "2 values"),
        ('<trace id="t">1 2</trace><traceView traceDataRef="t" from="x"/>', "from="),
        (
            '<traceGroup id="g"><trace>1 2</trace><traceView traceDataRef="g"/></traceGroup>',
            "never end",
        ),
        (
            "".join(
                f'<traceGroup id="g{n}">'
                + f'<traceView traceDataRef="g{n + 1}"/>' * 8
                + "</traceGroup>"
                for n in range(12)
            )
            + '<trace id="g12">1 2</trace>',
            "never end",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(body: str, reason: str) -> None:
    with pytest.raises(InkError, match=reason):
        strokes(body)


def test_axes_may_point_the_other_way_and_differ_in_scale() -> None:
    up = XY.format("").replace('"Y"', '"Y" orientation="-VE"')
    assert strokes(f"{up}<trace>1 2, 3 5</trace>") == [[[1, -2], [3, -5]]]
    left = XY.format("").replace('"X"', '"X" orientation="-ve"')
    assert strokes(f"{left}<trace>1 2</trace>") == [[[-1, 2]]]
    given = '<channelProperty channel="{}" name="resolution" value="{}" units="1/cm"/>'
    source = f"<inkSource>{XY.format('')}<channelProperties>{given.format('X', 100)}"
    fine = f"{source}{given.format('Y', 200)}</channelProperties></inkSource>"
    assert strokes(f"{fine}<trace>1 4</trace>") == ONE_TWO
    inches = given.replace("cm", "in").format("Y", 508)
    mixed = f"{source}{inches}</channelProperties></inkSource>"
    assert strokes(f"{mixed}<trace>1 4</trace>") == ONE_TWO
    units = XY.format("").replace('"X"', '"X" units="mm"').replace('"Y"', '"Y" units="cm"')
    assert strokes(f"{units}<trace>10 2</trace>") == [[[10, 20]]]
    odd = f"{source}{given.format('Y', 0)}</channelProperties></inkSource>"
    assert strokes(f"{odd}<trace>1 2</trace>") == ONE_TWO


def transform(inner: str, kind: str = "affine", attributes: str = "") -> str:
    mapping = f'<mapping type="{kind}">{inner}</mapping>'
    return f"<canvasTransform{attributes}>{mapping}</canvasTransform>"


UP = "<affine>1 0 0, 0 -1 10</affine>"
Y_UP = XY.format("").replace('"Y"', '"Y" orientation="-ve"')


@pytest.mark.parametrize(
    "body",
    [
        f'<definitions><context id="c">{transform(UP)}</context></definitions>'
        '<trace contextRef="#c">1 8</trace>',
        f"<definitions><context>{transform(UP)}</context></definitions><trace>1 8</trace>",
        f"<context>{XY.format('')}{transform(UP)}</context><trace>1 8</trace>",
        "<definitions>"
        + transform(UP, attributes=' id="t"')
        + '<context id="a" canvasTransformRef="#t"/><context id="c" contextRef="#a"/></definitions>'
        '<trace contextRef="#c">1 8</trace>',
        f'<definitions><mapping id="m" type="affine">{UP}</mapping></definitions><context>'
        '<canvasTransform><mapping mappingRef="#m"/></canvasTransform></context><trace>1 8</trace>',
        # A transform that mirrors does what an orientation asks for; one that does not, does not.
        f"<context>{Y_UP}{transform(UP)}</context><trace>1 8</trace>",
        f"<context>{Y_UP}{transform('1 0 0, 0 1 4')}</context><trace>1 2</trace>",
        f"<context>{transform('0 1 0, 1 0 0')}</context><trace>2 1</trace>",
        f"<context>{transform('-1 0 0 0 1 0')}</context><trace>-1 2</trace>",
        f"<context>{transform('2 0 0 -1, 0 1 5 0, 0 0 1 0')}</context><trace>1 2 7</trace>",
        "<context>"
        + transform('<bind source="Y"/><bind source="X"/><affine>0 1 0, 1 0 0</affine>')
        + "</context><trace>1 2</trace>",
        "<context>"
        + transform(
            '<mapping type="affine">1 0 1, 0 1 0</mapping><mapping type="affine">2 0 -3, 0 2 0'
            "</mapping>",
            "product",
        )
        + "</context><trace>1 1</trace>",
        f"<context>{transform('', 'identity')}</context><trace>1 2</trace>",
        "<context>" + transform('<bind target="F"/>', "lookup") + "</context><trace>1 2</trace>",
    ],
)
def test_transforms_to_the_canvas(body: str) -> None:
    assert strokes(body) == ONE_TWO


@pytest.mark.parametrize(
    ("inner", "kind", "reason"),
    [
        ("<math/>", "mathml", "not affine"),
        ("<table/>", "lookup", "not affine"),
        ("1 0 0", "affine", "matrix"),
        ("1 0 0, 2 0 0", "affine", "matrix"),
        ("1 0 x, 0 1 0", "affine", "matrix"),
        ("1 0 nan, 0 1 0", "affine", "matrix"),
        ("1e99 0 0, 0 1e999 0", "affine", "matrix"),
        ('<bind source="Y"/>1 0 0, 0 1 0', "affine", "matrix"),
        ('<mapping xml:id="m" type="product"><mapping mappingRef="#m"/></mapping>', "product",
         "never end"),
    ],
)  # fmt: skip
def test_transforms_that_cannot_be_applied_are_told(inner: str, kind: str, reason: str) -> None:
    with pytest.raises(InkError, match=reason):
        strokes(f"<context>{transform(inner, kind)}</context><trace>1 2</trace>")


def test_a_transform_that_stretches_does_what_resolutions_ask_for() -> None:
    units = XY.format("").replace('"X"', '"X" units="mm"').replace('"Y"', '"Y" units="cm"')
    stretched = f"<context>{units}{transform('1 0 0, 0 10 0')}</context><trace>10 2</trace>"
    assert strokes(stretched) == [[[10, 20]]]


def test_the_format_of_a_canvas_is_no_trace_s() -> None:
    body = f"<definitions>{TYX.format('')}<canvas>{XY.format('')}</canvas></definitions>"
    assert strokes(f"{body}<trace>7 2 1</trace>") == ONE_TWO


def test_a_pen_in_the_air_writes_nothing() -> None:
    body = "".join(
        f'<trace type="{kind}">{number} 0</trace>'
        for number, kind in enumerate(
            ("penDown", "penUp", "indeterminate", "PenUp", "pen-up", "hover")
        )
    )
    assert strokes(body) == [[[0, 0]], [[2, 0]]]


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ("1 1 T, 2 2 T, 3 3 F, 4 4 T", [[1, 2], [4]]),
        ("1 1 0, 2 2 1, 3 3 *, 4 4 0", [[2, 3]]),
        ("1 1 T, '1'1 T, 1 1 F, 1 1 T", [[1, 2], [4]]),
        ("1 1 T, 2 2 F, 3 3 *, 4 4", [[1]]),
        ("1 1, 2 2", [[1, 2]]),
    ],
)
def test_a_tip_that_does_not_touch_writes_nothing(points: str, found: list[list[int]]) -> None:
    switch = '<channel name="S" type="boolean"/>'
    said = f"<intermittentChannels>{switch}</intermittentChannels>"
    for tip in (said, switch) if points.count(" ") > 10 else (said,):
        form = f'<traceFormat><channel name="X"/><channel name="Y"/>{tip}</traceFormat>'
        drawn = strokes(f"{form}<trace>{points}</trace><trace>9 9 F</trace>")
        assert drawn == [[[at, at] for at in run] for run in found]


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ("1 1 7, 2 2 0, 3 3 0.0, 4 4 9", [[1], [4]]),
        ("1 1 0, 2 2 5, 3 3 .5, 4 4 0", [[2, 3]]),
        ("1 1 0, 2 2 0", [[1, 2]]),  # not measured
        ("1 1 7, '1'1'0, 1 1 0", [[1, 2, 3]]),
        ("1 1, 2 2", [[1, 2]]),
    ],
)
@pytest.mark.parametrize("name", ["F", "force", "Pressure"])
def test_without_force_the_pen_writes_nothing(
    points: str, found: list[list[int]], name: str
) -> None:
    channels = "".join(f'<channel name="{channel}"/>' for channel in ("X", "Y", name))
    drawn = strokes(f"<traceFormat>{channels}</traceFormat><trace>{points}</trace>")
    assert drawn == [[[at, at] for at in run] for run in found]


THREE = '<trace id="t">1 1, 2 2, 3 3, 4 4</trace><trace id="u">5 5, 6 6</trace>'


@pytest.mark.parametrize(
    ("views", "found"),
    [
        ("", []),
        ('<traceView traceDataRef="#u"/>', [[5, 6]]),
        ('<traceView traceDataRef="#t"/><traceView traceDataRef="t"/>', [[1, 2, 3, 4]]),
        ('<traceView traceDataRef="#t" from="2" to="3"/>', [[2, 3]]),
        (
            '<traceView traceDataRef="#t" to="1"/><traceView traceDataRef="#t" from="4"/>',
            [[1], [4]],
        ),
        (
            '<traceView traceDataRef="#t" to="3"/><traceView traceDataRef="#t" from="2"/>',
            [[1, 2, 3, 4]],
        ),
        ('<traceView traceDataRef="#g"/>', [[1, 2, 3, 4], [5, 6]]),
        ('<traceView traceDataRef="#g" from="2"/>', [[5, 6]]),
        ('<traceView traceDataRef="#g" from="1:3" to="2:1"/>', [[3, 4], [5]]),
        ('<traceView traceDataRef="#v"/>', [[5, 6]]),
    ],
)
def test_definitions_are_ink_where_a_view_names_them(views: str, found: list[list[float]]) -> None:
    named = '<traceView id="v" traceDataRef="#u"/>'
    body = f'<definitions><traceGroup id="g">{THREE}</traceGroup>{named}</definitions>'
    lines = strokes(f"{body}<trace>9 9</trace><traceGroup>{views}</traceGroup>")
    assert lines == [[[x, x] for x in line] for line in found] + [[[9, 9]]]


def test_a_continued_trace_is_one_stroke() -> None:
    body = (
        '<trace id="a" continuation="begin">1 1</trace><trace>7 7</trace>'
        '<trace id="b" continuation="middle" priorRef="#a">2 2</trace>'
        '<trace continuation="end" priorRef="#b">3 3</trace>'
    )
    assert strokes(body) == [[[1, 1], [2, 2], [3, 3]], [[7, 7]]]
