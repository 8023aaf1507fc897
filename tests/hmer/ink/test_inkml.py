import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import HmerError, InkError
from hmer.ink.inkml import InkDocument, looks_like_ink, read_inkml, write_inkml
from hmer.ink.points import MAX_STROKE_POINTS
from hmer.ink.strokes import Ink, Symbol

DOCUMENT = b"""<ink xmlns="http://www.w3.org/2003/InkML">
<traceFormat><channel name="X"/><channel name="Y"/><channel name="F"/></traceFormat>
<annotation type="truth"> $x-1$ </annotation>
<annotation type="writer">ada</annotation>
<annotation type="UI">"2024_7"</annotation>
<annotationXML type="truth"><math xmlns="m"><mi xml:id="x_1">x</mi></math></annotationXML>
<trace id="a">0 0 9, 10 10 9</trace><trace id="b">10 0 9, 0 10 9,</trace>
<trace id="empty"> </trace>
<trace id="c">15 5 1,25 5 1</trace><trace xml:id="d">30 0 1, 30 1e1 1</trace>
<traceGroup><annotation type="truth">Segmentation</annotation>
<traceGroup><annotation type="truth">x</annotation><traceView traceDataRef="a"/>
<traceView traceDataRef="#b"/><annotationXML href="x_1"/></traceGroup>
<traceGroup><annotation type="truth">-</annotation><traceView traceDataRef="c"/></traceGroup>
<traceGroup><annotation type="truth">1</annotation><traceView traceDataRef="d"/>
<traceView traceDataRef="nowhere"/></traceGroup></traceGroup></ink>"""


def ink(traces: str, head: str = "") -> bytes:
    return f"<ink>{head}{traces}</ink>".encode()


def test_reads_strokes_symbols_and_annotations() -> None:
    document = read_inkml(DOCUMENT, "a.inkml")
    assert [stroke.tolist() for stroke in document.ink.strokes] == [
        [[0, 0], [10, 10]],
        [[10, 0], [0, 10]],
        [[15, 5], [25, 5]],
        [[30, 0], [30, 10]],
    ]
    assert document.ink.symbols == (Symbol("x", (0, 1)), Symbol("-", (2,)), Symbol("1", (3,)))
    assert document.symbol_ids == ("x_1", "", "")
    assert (document.latex, document.writer, document.ui) == ("$x-1$", "ada", "2024_7")
    assert document.mathml is not None
    assert "x_1" in document.mathml


def test_round_trip() -> None:
    document = read_inkml(DOCUMENT, "a.inkml")
    again = read_inkml(write_inkml(document), "b.inkml")
    assert [s.tolist() for s in again.ink.strokes] == [s.tolist() for s in document.ink.strokes]
    assert again.ink.symbols == document.ink.symbols
    assert again.symbol_ids == document.symbol_ids
    assert (again.latex, again.writer, again.ui) == ("$x-1$", "ada", "2024_7")


def test_channels_may_come_in_any_order() -> None:
    head = '<traceFormat><channel name="T"/><channel name="Y"/><channel name="X"/></traceFormat>'
    document = read_inkml(ink("<trace>7 1 2, 8 3 4</trace>", head), "a.inkml")
    assert document.ink.strokes[0].tolist() == [[2, 1], [4, 3]]


def test_utf16_is_read() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><ink><trace>1 2</trace></ink>'
    assert read_inkml(text.encode("utf-16"), "a").ink.strokes[0].tolist() == [[1, 2]]


def test_stray_bytes_are_those_of_windows() -> None:
    data = DOCUMENT.replace(b">x</mi>", b">\xb7</mi>").replace(b"$x-1$", b"$x\xb71$")
    document = read_inkml(data, "a.inkml")
    assert len(document.ink.strokes) == 4 and document.latex == "$x·1$"
    assert document.mathml and "·" in document.mathml
    with pytest.raises(InkError, match=r"a\.inkml.*UTF-8"):
        read_inkml(DOCUMENT.replace(b"$x-1$", b"$x\x811$"), "a.inkml")


LAUGHS = b"""<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<ink><annotation type="truth">&b;</annotation><trace>1 2</trace></ink>"""
EXTERNAL = (
    b"""<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]><ink><trace>&a;</trace></ink>"""
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (DOCUMENT[:400], "well-formed.*cut short"),
        (DOCUMENT.replace(b"</annotation>", b"", 1), "well-formed(?!.*cut short)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<svg/>", "not InkML"),
        (ink(""), "no trace"),
        (ink("<trace> , </trace>"), "no trace"),
        (ink("<trace>1 2, three 4</trace>"), "plain numbers"),
        (ink("<trace>1, 2</trace>"), "plain numbers"),
        (ink("<trace>1 2, nan 4</trace>"), "not finite"),
        (ink("<trace>1 2, 1e30 4</trace>"), "1e7 units"),
        (ink("<trace>1 1e999</trace>"), "not finite"),
        (ink("<trace>" + "1 2," * (MAX_STROKE_POINTS + 1) + "</trace>"), "resample"),
        (ink("<trace>1 2</trace>" * 6000), "5000 strokes"),
        (ink("<trace>" + "1 2," * 50_000 + "</trace>") * 1, None),
        (ink(("<trace>" + "1 2," * 50_000 + "</trace>") * 6), "points is more"),
        (
            ink("<trace>1 2</trace>", '<traceFormat><channel name="X"/></traceFormat>'),
            "X and Y",
        ),
        (LAUGHS, "refused"),
        (EXTERNAL, "refused"),
        (b'<?xml version="1.0" encoding="klingon"?><ink/>', "no trace"),
        (ink("<trace>1 2</trace>" + " " * 2**24), "bytes is more"),
    ],
)
def test_what_is_wrong_is_told(data: bytes, reason: str | None) -> None:
    if reason is None:
        assert read_inkml(data, "a.inkml").ink.strokes[0].shape == (50_000, 2)
        return
    with pytest.raises(InkError, match=reason) as caught:
        read_inkml(data, "a.inkml")
    assert str(caught.value).startswith("a.inkml")
    assert "\n" not in str(caught.value)


def test_deep_nesting_does_not_crash() -> None:
    deep = "<m>" * 20_000 + "</m>" * 20_000
    data = ink("<trace>1 2</trace>", f'<annotationXML type="truth">{deep}</annotationXML>')
    with pytest.raises(InkError, match="nested too deeply"):
        read_inkml(data, "a.inkml")


@pytest.mark.parametrize("sign", ["\0", "\ufffe", "\ud800"])
def test_what_xml_has_no_place_for_cannot_be_written(sign: str) -> None:
    with pytest.raises(InkError, match="truth"):
        write_inkml(InkDocument(Ink((np.zeros((1, 2), np.float32),)), f"a{sign}b"))


@given(st.integers(0, len(DOCUMENT) - 1), st.binary(min_size=0, max_size=4), st.integers(0, 40))
def test_damaged_files_give_ink_or_an_ink_error(at: int, noise: bytes, gone: int) -> None:
    data = DOCUMENT[:at] + noise + DOCUMENT[at + gone :]
    try:
        document = read_inkml(data, "a.inkml")
    except HmerError as error:
        assert "a.inkml" in str(error)
    else:
        assert all(len(s) and np.isfinite(s).all() for s in document.ink.strokes)


LABELLED = '<ink>{0}<trace id="a">0 0, 1 1</trace><trace id="b">2 2, 3 3</trace>{1}</ink>'


@pytest.mark.parametrize(
    "kind", ["truth", "Truth", "normalizedLabel", "label", "groundTruth", "ground_truth", "LaTeX"]
)
def test_a_label_is_known_by_all_its_names(kind: str) -> None:
    text = LABELLED.format(f'<annotation type="{kind}">x+1</annotation>', "")
    assert read_inkml(text.encode(), "a").latex == "x+1"


def test_a_label_whose_type_is_misspelt_is_found() -> None:
    text = LABELLED.format('<annotation typx="truth">x+1</annotation>', "")
    assert read_inkml(text.encode(), "a").latex == "x+1"


def test_the_normalised_label_comes_before_the_one_shown() -> None:
    notes = '<annotation type="{}">{}</annotation>'
    text = LABELLED.format(notes.format("label", "x^2") + notes.format("normalizedLabel", "z"), "")
    assert read_inkml(text.encode(), "a").latex == "z"


@pytest.mark.parametrize(
    ("groups", "latex", "symbols"),
    [
        ("<g>{x+1}<v>a</v><v>b</v></g>", "x+1", []),
        ("<g>{x+1}<g>{x}<v>a</v></g><g>{1}<v>b</v></g></g>", "x+1", ["x", "1"]),
        ("<g><g>{x+1}<v>a</v><v>b</v></g></g>", "x+1", []),
        ("<g>{x}<v>a</v></g><g>{1}<v>b</v></g>", "", ["x", "1"]),
        ("<g>{x}<v>a</v></g>", "", ["x"]),
        ("<g>{Segmentation}<g>{x}<v>a</v><v>b</v></g></g>", "", ["x"]),
        ("<g>{sin\n x}<v>a</v></g>", "", ["sin x"]),
    ],
)
def test_a_group_around_all_traces_labels_them(groups: str, latex: str, symbols: list[str]) -> None:
    for short, long in (
        ("<g>", "<traceGroup>"), ("</g>", "</traceGroup>"),
        ("{", '<annotation type="truth">'), ("}", "</annotation>"),
        ("<v>", '<traceView traceDataRef="#'), ("</v>", '"/>'),
    ):  # fmt: skip
        groups = groups.replace(short, long)
    document = read_inkml(LABELLED.format("", groups).encode(), "a")
    assert document.latex == latex
    assert [symbol.token for symbol in document.ink.symbols] == symbols
    assert len(document.symbol_ids) == len(symbols)


def test_ink_far_from_the_origin_is_moved() -> None:
    document = read_inkml(ink("<trace>20000001 90000000, 20000003 90000007</trace>"), "a")
    assert document.ink.strokes[0].tolist() == [[0, 0], [2, 7]]


def test_ink_is_told_from_pictures() -> None:
    assert looks_like_ink(DOCUMENT)
    assert not looks_like_ink(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR<ink>")
    assert not looks_like_ink(b"<svg><inkscape/></svg>")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_ink_or_an_ink_error(data: bytes) -> None:
    for text in (data, ink("<trace>" + data.decode("utf-8", "replace") + "</trace>")):
        looks_like_ink(text)
        try:
            read_inkml(text, "a.inkml")
        except InkError as error:
            assert "a.inkml" in str(error)


@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32)), min_size=1
        ),
        min_size=1,
        max_size=5,
    ),
    st.text(st.characters(exclude_categories=["C"])),
)
def test_any_ink_survives_a_round_trip(strokes: list[list[tuple[float, float]]], text: str) -> None:
    first = Ink(tuple(np.array(stroke, np.float32) for stroke in strokes))
    again = read_inkml(write_inkml(InkDocument(first, text)), "a")
    assert again.latex == text.strip()
    for one, other in zip(first.strokes, again.ink.strokes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_truth_as_mathml_may_stand_after_other_xml() -> None:
    note = '<annotationXML><emma xmlns="e"/></annotationXML>'
    math = '<annotationXML><math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi></math>'
    data = f"<ink>{note}{math}</annotationXML><trace>1 2</trace></ink>".encode()
    assert "math" in str(read_inkml(data, "a.inkml").mathml)


@pytest.mark.parametrize(
    ("encoding", "truth"), [("cp1252", "2×3"), ("latin-1", "2×3"), ("shift-jis", "2")]
)
@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="UTF-8"?>'])
def test_the_encoding_of_a_name_keeps_no_ink_from_being_read(
    encoding: str, truth: str, declaration: str
) -> None:
    writer = "ミラー" if encoding == "shift-jis" else "Zoé Müller"
    text = (
        f'{declaration}<ink><annotation type="truth">{truth}</annotation>'
        f'<annotation type="writer">{writer}</annotation><trace>0 1, 2 3</trace></ink>'
    )
    document = read_inkml(text.encode(encoding), "a")
    assert document.latex == truth and len(document.ink.strokes) == 1
    assert encoding == "shift-jis" or document.writer == writer
