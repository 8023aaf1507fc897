"""The recogniser that comes with the package reads handwriting it has never seen."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError, InkError
from hmer.ink.inkml import read_inkml
from hmer.ink.strokes import Ink, Points
from hmer.latex.alignment import place_symbols
from hmer.latex.dialect import normalise
from hmer.recognizer import SHIPPED, Recognizer
from hmer.synthesis.render_latex import write_latex

FAST = DecodingConfig(beam=3)
Stroke = Sequence[tuple[float, float]]


@pytest.fixture(scope="module")
def shipped() -> Recognizer:
    return Recognizer.load()


def arc(x: float, y: float, r: float, start: float, end: float, tall: float = 1.0) -> Stroke:
    """Points on an ellipse around (x, y), angles in degrees, clockwise from the right."""
    turns = [math.radians(start + (end - start) * i / 20) for i in range(21)]
    return [(x + r * math.cos(a), y + tall * r * math.sin(a)) for a in turns]


ONE: list[Stroke] = [[(0.1, 0.3), (0.4, 0.0), (0.4, 1.5)]]
TWO: list[Stroke] = [[*arc(0.4, 0.4, 0.4, 200, 390), (0.0, 1.5), (0.9, 1.45)]]
THREE: list[Stroke] = [[*arc(0.35, 0.35, 0.36, 210, 440), *arc(0.35, 1.1, 0.42, 280, 500)]]
ZERO: list[Stroke] = [arc(0.4, 0.75, 0.42, -90, 275, 1.7)]
PLUS: list[Stroke] = [[(0.0, 0.8), (0.9, 0.8)], [(0.45, 0.35), (0.45, 1.25)]]
MINUS: list[Stroke] = [[(0.0, 0.8), (0.9, 0.78)]]
EQUALS: list[Stroke] = [[(0.0, 0.6), (0.9, 0.58)], [(0.0, 1.0), (0.9, 0.98)]]
EX: list[Stroke] = [[(0.0, 0.5), (0.8, 1.5)], [(0.8, 0.5), (0.0, 1.5)]]


def at(glyph: list[Stroke], x: float, y: float = 0.0, size: float = 1.0) -> list[Stroke]:
    return [[(x + size * px, y + size * py) for px, py in stroke] for stroke in glyph]


HAND_MADE: dict[str, list[Stroke]] = {
    "1 + 2": at(ONE, 0) + at(PLUS, 1) + at(TWO, 2.4),
    "x ^ { 2 }": at(EX, 0) + at(TWO, 1.0, -0.35, 0.55),
    "3 - 1 = 2": at(THREE, 0) + at(MINUS, 1.3) + at(ONE, 2.6) + at(EQUALS, 3.6) + at(TWO, 5.0),
    r"\frac { 1 } { 2 }": [*at(ONE, 0.3), [(-0.3, 1.95), (1.4, 1.9)], *at(TWO, 0.1, 2.35)],
    "x + 3 = 1 0": at(EX, 0) + at(PLUS, 1.3) + at(THREE, 2.7) + at(EQUALS, 4) + at(ONE, 5.4)
    + at(ZERO, 6.2),
}  # fmt: skip


def ink(strokes: list[Stroke], scale: float = 100.0) -> Ink:
    return Ink(tuple(np.array(stroke, np.float32) * np.float32(scale) for stroke in strokes))


def photograph(strokes: Sequence[Points]) -> bytes:
    """Dark lines on paper that is not quite white, with light from one side."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0) - 40, points.max(axis=0) + 40
    width, height = (int(side) for side in high - low)
    light: NDArray[np.float64] = np.linspace(205, 245, width)[None, :] * np.ones((height, 1))
    picture = Image.fromarray(light.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for stroke in strokes:
        draw.line([tuple(point) for point in (stroke - low).tolist()], fill=50, width=7)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def test_the_weights_are_the_ones_described() -> None:
    about = json.loads((SHIPPED / "model.json").read_text(encoding="utf-8"))
    weights = (SHIPPED / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == about["sha256"]
    assert len(weights) <= 16 * 2**20
    assert "CC BY-NC-SA" in (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("caption", HAND_MADE)
def test_reads_what_was_drawn_by_hand(shipped: Recognizer, caption: str) -> None:
    assert shipped.recognize(ink(HAND_MADE[caption]), FAST).latex == caption


def strokes_of(caption: str) -> list[tuple[str, tuple[int, ...]]]:
    """The tokens of a hand-made expression that are written, with their strokes."""
    if caption.startswith(r"\frac"):
        return [(r"\frac", (1,)), ("1", (0,)), ("2", (2,))]
    count, found = 0, []
    for token in caption.split():
        if token not in "{}^":
            strokes = 2 if token in "+=x" else 1
            found.append((token, tuple(range(count, count + strokes))))
            count += strokes
    return found


@pytest.mark.parametrize("caption", HAND_MADE)
def test_each_token_has_its_strokes(shipped: Recognizer, caption: str) -> None:
    drawn = ink(HAND_MADE[caption])
    found = shipped.recognize(drawn, FAST)
    assert [(one.token, one.strokes) for one in found.symbols] == strokes_of(caption)
    assert [found.tokens[one.place] for one in found.symbols] == [s.token for s in found.symbols]
    for one in found.symbols:
        assert one.box == Ink(tuple(drawn.strokes[i] for i in one.strokes)).bounds()


def test_pytorch_finds_the_same_strokes(shipped: Recognizer) -> None:
    by_torch = Recognizer.load(backend="torch")
    for strokes in HAND_MADE.values():
        drawn = ink(strokes)
        assert by_torch(drawn, FAST).symbols == shipped(drawn, FAST).symbols


def test_each_token_has_its_box_on_a_picture(shipped: Recognizer) -> None:
    caption = "x + 3 = 1 0"
    drawn = ink(HAND_MADE[caption])
    found = shipped.recognize(photograph(drawn.strokes), FAST)
    assert found.latex == caption
    corner = np.concatenate(drawn.strokes).min(axis=0) - 40
    for one, (token, strokes) in zip(found.symbols, strokes_of(caption), strict=True):
        points = np.concatenate([drawn.strokes[i] for i in strokes]) - corner
        assert one.token == token and one.strokes == ()
        meant = (*points.min(axis=0), *points.max(axis=0))
        assert np.abs(np.subtract(one.box, meant)).max() < 12


def test_a_picture_has_no_strokes_to_write_back(shipped: Recognizer) -> None:
    found = shipped.recognize(photograph(ink(HAND_MADE["1 + 2"]).strokes), FAST)
    for write in (found.to_inkml, found.graph):
        with pytest.raises(InkError, match="read ink"):
            write()


@pytest.mark.parametrize("caption", HAND_MADE)
def test_inkml_that_is_written_back_reads_as_annotated(shipped: Recognizer, caption: str) -> None:
    drawn = ink(HAND_MADE[caption])
    document = read_inkml(shipped.recognize(drawn, FAST).to_inkml(), "back")
    tokens = normalise(document.latex)
    assert " ".join(tokens) == caption
    placed = place_symbols(document.ink, document.symbol_ids, document.mathml, tokens)
    assert placed.problem is None
    symbols = [(one.token, one.strokes) for one in placed.ink.symbols]
    assert sorted(symbols) == sorted(strokes_of(caption))
    for one, other in zip(document.ink.strokes, drawn.strokes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_label_graph_is_written(shipped: Recognizer) -> None:
    assert shipped.recognize(ink(HAND_MADE["x ^ { 2 }"]), FAST).graph().to_lg().splitlines()[
        1:
    ] == [
        "O, x_1, x, 1.0, 0, 1",
        "O, 2_1, 2, 1.0, 2",
        "# R, parent, child, relation, weight",
        "R, x_1, 2_1, Sup, 1.0",
    ]


def test_only_the_symbols_that_are_wanted_are_written() -> None:
    digits = Recognizer.load(symbols="0 1 2 3 + - =".split())
    for strokes in HAND_MADE.values():
        for reading in digits(ink(strokes), FAST).n_best:
            assert {*reading.tokens} <= {*"0123+-="}
    assert digits(ink(HAND_MADE["3 - 1 = 2"]), FAST).latex == "3 - 1 = 2"
    scripts = Recognizer.load(symbols=["x", "2", "^"])
    assert scripts(ink(HAND_MADE["x ^ { 2 }"]), FAST).latex == "x ^ { 2 }"
    with pytest.raises(HmerError, match=r"not know: \\foo q2; it writes ! "):
        Recognizer.load(symbols=["x", "q2", "\\foo"])


def test_two_threads_read_what_one_does(shipped: Recognizer) -> None:
    drawn = [ink(strokes) for strokes in HAND_MADE.values()] * 2
    alone = [(shipped(one, FAST).latex, shipped(one, FAST).symbols) for one in drawn]
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(shipped, one, FAST) for one in drawn]
        assert [(f.result().latex, f.result().symbols) for f in found] == alone


def test_reads_photographs(shipped: Recognizer) -> None:
    read = [
        shipped.recognize(photograph(ink(strokes).strokes), FAST).latex
        for strokes in HAND_MADE.values()
    ]
    assert sum(a == b for a, b in zip(read, HAND_MADE, strict=True)) >= 4, read


def test_reads_pictures_that_lie_on_their_side(shipped: Recognizer) -> None:
    read = []
    for caption, strokes in HAND_MADE.items():
        level = Image.open(io.BytesIO(photograph(ink(strokes).strokes)))
        for turns in (1, 3):
            turned = np.rot90(np.asarray(level), turns)
            read.append((caption, shipped.recognize(Image.fromarray(turned), FAST).latex))
    assert sum(a == b for a, b in read) >= 4, read


def test_several_expressions_are_told(shipped: Recognizer) -> None:
    page = at(HAND_MADE["1 + 2"], 0) + at(HAND_MADE["3 - 1 = 2"], 0, 3.5)
    with pytest.warns(UserWarning, match="picture: there seem to be 2 expressions"):
        shipped.prepare(photograph(ink(page).strokes))


def test_reads_most_of_what_the_font_writes(shipped: Recognizer) -> None:
    captions = [
        "a + b",
        r"\frac { x } { y }",
        "n ^ { 2 }",
        r"\sqrt { 2 }",
        "( a + b ) c",
        "y = 4 x",
    ]
    read = [
        shipped.recognize(write_latex(caption, 3, None, True).ink, FAST).latex
        for caption in captions
    ]
    assert sum(a == b for a, b in zip(read, captions, strict=True)) >= 4, read


def test_pictures_that_lie_upside_down_are_read(shipped: Recognizer) -> None:
    right = 0
    for caption, strokes in HAND_MADE.items():
        picture = Image.open(io.BytesIO(photograph(ink(strokes).strokes)))
        upright, turned = (
            shipped(page, FAST) for page in (picture, picture.transpose(Image.Transpose.ROTATE_180))
        )
        assert upright.latex == caption
        right += turned.latex == caption
        if turned.latex == caption:  # boxes are those of the picture as it was given
            boxes = [np.array(one.box) for found in (upright, turned) for one in found.symbols[:1]]
            width, height = picture.size
            middles = [(box[:2] + box[2:]) / 2 for box in boxes]
            assert np.abs(middles[0] + middles[1] - (width, height)).max() < 12
    assert right >= 3


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_pages_that_lie_on_a_side_are_read(shipped: Recognizer, turns: int) -> None:
    """Two expressions side by side, one below: as they are read upright, where they lie."""
    places = {"3 - 1 = 2": (0, 0), "1 + 2": (1000, 0), "x + 3 = 1 0": (100, 500)}
    strokes = [
        stroke + np.array(place, np.float32)
        for caption, place in places.items()
        for stroke in ink(HAND_MADE[caption]).strokes
    ]
    page = Image.open(io.BytesIO(photograph(strokes)))
    width, height = page.size
    found = shipped.read_page(np.rot90(np.asarray(page), turns), FAST)
    assert [reading.latex for reading in found] == list(places)
    upright = shipped.read_page(np.asarray(page), FAST)
    for reading, expected in zip(found, upright, strict=True):
        assert reading.box and expected.box
        left, top, right, bottom = expected.box
        for _ in range(turns):
            left, top, right, bottom = top, width - right, bottom, width - left
            width, height = height, width
        width, height = page.size
        assert reading.box == pytest.approx((left, top, right, bottom), abs=15)


def test_ink_of_one_piece_is_none_of_the_symbols_with_dots_apart(shipped: Recognizer) -> None:
    dots, bar = Image.new("L", (200, 200), 255), Image.new("L", (200, 200), 255)
    ImageDraw.Draw(bar).line((100, 40, 104, 150), fill=0, width=5)
    found = []
    for left in (90, 50, 130):
        ImageDraw.Draw(dots).ellipse((left, 95, left + 10, 105), fill=0)
        found.append(shipped(dots.copy()).tokens[0])
    assert found[0] == "." and found[2] in (r"\ldots", r"\cdots")
    assert shipped(bar).tokens == ("1",)
    strokes = np.array([[0, 0], [0.02, 1], [0.05, 2]], np.float32), np.zeros((1, 2), np.float32)
    strokes[1][:] = 0.05, 2.5
    assert shipped(Ink(strokes)).tokens == ("!",)
