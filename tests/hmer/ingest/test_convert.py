import pickle
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.data.schema import Quarantined, Sample
from hmer.ingest.convert import Converter
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ingest.sources.inkml import ReadInkml
from hmer.ink.blobs import picture_unit
from hmer.ink.codec import unpack
from hmer.ink.images import decode_png, encode_png
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink, Symbol

RENDER = RenderConfig(unit=16, pen=0.1, margin=0.25)
CONVERT = Converter("wap", 0.5, RENDER)
INK = Ink(
    (np.array([[0, 0], [500, 900]], np.float32), np.array([[500, 0], [0, 900]], np.float32)),
    (Symbol("x", (0, 1)),),
)
ITEM = SourceItem("a", "here", "ada", "$x$", ink=INK, file="here/a.inkml")


@dataclass(frozen=True)
class Given:
    """A task that gives `ITEM`."""

    key: str = "a"
    split: str | None = None

    def __call__(self) -> SourceItem:
        return ITEM


def changed(**fields: object) -> Sample | Quarantined:
    values = {name: getattr(ITEM, name) for name in SourceItem.__slots__} | fields
    return CONVERT(SourceItem(**values)).result


def test_image_is_the_drawing_of_the_stored_ink() -> None:
    sample = CONVERT(ITEM).result
    assert isinstance(sample, Sample)
    assert sample.ink is not None
    ink = unpack(sample.ink)
    image = decode_png(sample.image)
    np.testing.assert_array_equal(image, render(ink, 16, 0.1, 0.25).image)
    assert (sample.height, sample.width) == image.shape
    assert (sample.strokes, sample.tokens, sample.latex) == (2, ("x",), "$x$")
    assert sample.symbol_boxes is not None
    (box,) = sample.symbol_boxes
    assert image[: int(box.top)].max() <= 128
    assert image[int(box.bottom) + 1 :].max(initial=0) <= 128


def test_size_on_the_tablet_plays_no_part() -> None:
    one = changed(ink=INK.mapped(lambda points: np.asarray(points * 0.01, np.float32)))
    other = CONVERT(ITEM).result
    assert isinstance(one, Sample)
    assert isinstance(other, Sample)
    assert (one.height, one.width) == (other.height, other.width)


def test_normalised_ink_is_not_scaled_again() -> None:
    sample = changed(
        ink=INK.mapped(lambda points: np.asarray(points / 100, np.float32)), normalised=True
    )
    assert isinstance(sample, Sample)
    assert sample.height == int(np.ceil((9 + 0.5) * 16))


def test_pictures_look_like_rendered_ink() -> None:
    drawn = render(normalise(INK), 40, 0.1, 0.5).image
    sample = changed(ink=None, data=encode_png(255 - drawn))
    assert isinstance(sample, Sample)
    assert picture_unit(decode_png(sample.image)) == pytest.approx(16, rel=0.2)
    assert (sample.strokes, sample.ink, sample.symbol_boxes) == (0, None, None)


def test_splits() -> None:
    sides = {changed(writer=f"w{n}").split for n in range(30)}
    assert sides == {"train", "val"}
    assert changed(split="test-2014").split == "test-2014"


def test_tokens_of_the_source_come_first() -> None:
    sample = changed(tokens=("y",), latex="")
    assert isinstance(sample, Sample)
    assert (sample.tokens, sample.latex) == (("y",), "y")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"latex": "x^"}, "LaTeX"),
        ({"latex": ""}, "token"),
        ({"latex": "$ $"}, "token"),
        ({"latex": "\\aleph + x"}, r"\\aleph"),
        ({"tokens": ("\\foo",)}, r"\\foo"),
        ({"ink": Ink(())}, "stroke|point"),
        (
            {
                "ink": Ink(
                    (np.array([[0, 0]] * 3 + [[1, 1]], np.float32),) * 9
                    + (np.array([[1e6, 1e6]], np.float32),)
                )
            },
            "stray",
        ),
        ({"ink": None}, "neither"),
        ({"ink": None, "data": b"", "latex": "x^"}, "a.inkml: .*the file is empty"),
        ({"ink": None, "data": encode_png(np.zeros((9, 9), np.uint8))}, "no ink"),
    ],
)
def test_what_is_wrong_goes_to_quarantine(fields: dict[str, object], reason: str) -> None:
    found = changed(**fields)
    assert isinstance(found, Quarantined), found
    assert (found.id, found.file) == ("a", "here/a.inkml")
    assert re.search(reason, found.reason)


def test_rejected_items_and_tasks() -> None:
    rejected = CONVERT(Rejected("b", "b.inkml", "broken"))
    assert rejected.result == Quarantined("b", "b.inkml", "broken")
    assert CONVERT(Given()) == CONVERT(ITEM)


def test_travels_to_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(CONVERT))(ITEM) == CONVERT(ITEM)


def test_symbols_learn_which_tokens_they_write() -> None:
    converted = CONVERT(ITEM)
    assert isinstance(converted.result, Sample)
    assert converted.result.ink is not None
    assert unpack(converted.result.ink).symbols == (Symbol("x", (0, 1), 0),)
    assert converted.unplaced is None


def test_symbols_that_contradict_the_caption_learn_nothing() -> None:
    values = {name: getattr(ITEM, name) for name in SourceItem.__slots__} | {"latex": "y"}
    converted = CONVERT(SourceItem(**values))
    assert isinstance(converted.result, Sample)
    assert converted.result.ink is not None
    assert unpack(converted.result.ink).symbols == INK.symbols
    assert converted.unplaced is not None
    assert "the caption has 0 times x, the ink 1 times" in converted.unplaced


def test_mathml_decides() -> None:
    ink = Ink(INK.strokes, (Symbol("x", (1,)), Symbol("x", (0,))))
    leaves = "".join(f'<mi xml:id="{name}">x</mi>' for name in "ab")
    values = {name: getattr(ITEM, name) for name in SourceItem.__slots__}
    values |= {"ink": ink, "latex": "x^x", "symbol_ids": ("b", "a")}
    values |= {"mathml": f"<math><msup>{leaves}</msup></math>"}
    result = CONVERT(SourceItem(**values)).result
    assert isinstance(result, Sample)
    assert result.ink is not None
    assert unpack(result.ink).symbols == (Symbol("x", (1,), 3), Symbol("x", (0,), 0))


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        (("x+2+\\sqrt{3}",), "x + 2 + \\sqrt { 3 }"),
        (("x", "^", "2"), "x ^ { 2 }"),
        (("x", "^", "{", "2", "}"), "x ^ { 2 }"),
    ],
)
def test_captions_without_blanks_are_read(caption: tuple[str, ...], tokens: str) -> None:
    sample = changed(tokens=caption)
    assert isinstance(sample, Sample)
    assert " ".join(sample.tokens) == tokens


TEXT = st.text(st.sampled_from("ab 12\n+^{}\\$\u2028\u4e2d"), max_size=6)
MATH = st.recursive(
    st.sampled_from(["<mi xml:id='1'>x</mi>", "<mo>+</mo>", "<mn>12</mn>", "<mspace/>", "<odd/>"]),
    lambda inner: st.builds(
        lambda kind, parts: f"<{kind}>{''.join(parts)}</{kind}>",
        st.sampled_from(["mrow", "msup", "mfrac", "msqrt", "mroot", "munderover"]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


@given(
    st.lists(st.tuples(TEXT, st.lists(st.integers(0, 4), max_size=4)), max_size=5),
    TEXT,
    MATH,
    st.integers(0, 120),
)
def test_any_annotation_gives_a_row_or_a_quarantine_entry(
    groups: list[tuple[str, list[int]]], truth: str, math: str, depth: int
) -> None:
    """Groups may name strokes that are not drawn (2: in the air, 3: unnamed, 4: nowhere)."""
    said = "".join(
        f'<traceGroup><annotation type="truth">{escape(token)}</annotation>'
        + "".join(f'<traceView traceDataRef="t{number}"/>' for number in named)
        + '<annotationXML href="1"/></traceGroup>'
        for token, named in groups
    )
    deep = "<mrow><msup>" * depth + math + "<mi>2</mi></msup></mrow>" * depth
    data = (
        f'<ink><annotation type="truth">{escape(truth)}</annotation>'
        f"<annotationXML><math>{deep}</math></annotationXML>"
        '<definitions><trace id="t3">5 5</trace></definitions><trace id="t0">0 0, 9 9</trace>'
        f'<trace id="t1">9 0, 0 9</trace><trace id="t2" type="penUp">1 1</trace>{said}</ink>'
    )
    found = CONVERT(ReadInkml("a/b.inkml", data.encode(), "train")).result
    assert isinstance(found, Sample | Quarantined)
