"""Facts of one row, each against a row made to show it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hmer.ingest import row_checks as module
from hmer.ingest.row_checks import (
    FACTS,
    FINGERPRINT_BYTES,
    REASONS,
    box_error,
    caption_difference,
    ink_error,
    row_facts,
)
from hmer.ink.codec import pack
from hmer.ink.images import encode_png
from hmer.ink.strokes import Ink, Symbol


@pytest.mark.parametrize(
    ("raw", "caption", "reason", "ours"),
    [
        ("x^2_1", "x ^ { 2 } _ { 1 }", module.RESPELLED, "x _ { 1 } ^ { 2 }"),
        ("\\frac{1", "1", module.REFUSED, None),
        ("1.0+x", "1 + x", module.ZEROS, "1 . 0 + x"),
        ("x_{1}}+y", "x _ { 1 + y }", module.BRACES, "x _ { 1 } + y"),
        ("y_{},z", "y _ { , } z", module.EMPTY_SCRIPT, "y , z"),
        ("3,14", "3 1 , 4", module.ORDER, "3 , 1 4"),
        ("a+\\ldots", "a", module.LEFT_OUT, "a + \\ldots"),
        ("a\\div b", "a / b", module.OTHER, "a \\div b"),
    ],
)
def test_each_explanation(raw: str, caption: str, reason: str, ours: str | None) -> None:
    found = caption_difference(raw, caption.split(), "wap")
    assert found is not None
    assert found[0] == reason
    assert reason in REASONS
    if ours is not None:
        assert found[1] == ours


def test_no_difference() -> None:
    assert caption_difference("$\\dfrac12$", "\\frac { 1 } { 2 }".split(), "wap") is None
    prime = "x ^ { ' }".split()
    assert caption_difference("x'", prime, "wap") is None
    assert caption_difference("x'", prime, "comer") == (module.RESPELLED, "x ^ { \\prime }")


VOCABULARY = frozenset(["x", "y", "1", "+", "^", "{", "}", "\\frac"])
INK = Ink((np.array([[0, 0], [1, 1]], np.float32), np.array([[0, 1], [1, 0]], np.float32)))


def picture() -> NDArray[np.uint8]:
    image = np.zeros((20, 30), np.uint8)
    image[5:15, 10:25] = 255
    return image


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "source": "made",
        "split": "train",
        "writer": "w",
        "latex": "x^1",
        "tokens": ["x", "^", "{", "1", "}"],
        "image": encode_png(picture()),
        "height": 20,
        "width": 30,
        "strokes": 2,
        "ink": pack(INK),
        "symbol_boxes": [{"token": "x", "left": 1.0, "top": 2.0, "right": 9.0, "bottom": 19.0}],
        **changes,
    }


def facts_of(**changes: Any) -> SimpleNamespace:
    unknown = dict.fromkeys(FACTS)
    return SimpleNamespace(**unknown | row_facts(row(**changes), "train", 3, VOCABULARY)[0])


def test_a_sound_row_has_no_errors() -> None:
    facts = facts_of()
    assert (facts.missing, facts.unknown, facts.broken) == ("", "", "")
    assert (facts.parse_error, facts.image_error, facts.ink_error, facts.box_error) == ("",) * 4
    assert (facts.file, facts.row, facts.tokens, facts.depth, facts.strokes) == (
        "train",
        3,
        5,
        1,
        2,
    )
    assert facts.ink_share == 150 / 600


def test_unknown_tokens_are_named_once_and_sorted() -> None:
    assert facts_of(tokens=["z", "x", "\\alpha", "z"]).unknown == "\\alpha z"


@pytest.mark.parametrize("label", ["x ^ {", "}", "\\frac { x }", ""])
def test_a_label_that_does_not_parse_says_why(label: str) -> None:
    facts = facts_of(tokens=label.split())
    assert facts.parse_error
    assert facts.depth is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": b"not a picture"}, "not a PNG"),
        ({"image": encode_png(picture())[:50]}, "does not decode"),
        ({"height": 21}, "declared 21, 30"),
    ],
)
def test_a_bad_picture_says_why(changes: dict[str, Any], reason: str) -> None:
    assert reason in (facts_of(**changes).image_error or "")


def test_a_colour_picture_breaks_the_contract() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(buffer, "PNG")
    assert "mode RGB" in (facts_of(image=buffer.getvalue()).image_error or "")


def test_a_huge_picture_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 500)
    facts = facts_of()
    assert "too many" in (facts.image_error or "")
    assert facts.image_hash == 0


def test_image_hash_is_of_pixels_not_of_bytes() -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG", compress_level=9)
    other = buffer.getvalue()
    assert other != row()["image"]
    assert facts_of(image=other).image_hash == facts_of().image_hash
    # The same pixels in another shape are another picture.
    turned = encode_png(np.zeros((30, 20), np.uint8))
    blank = encode_png(np.zeros((20, 30), np.uint8))
    assert facts_of(image=turned).image_hash != facts_of(image=blank).image_hash


def test_label_hash_depends_on_where_tokens_end() -> None:
    assert facts_of(tokens=["x", "y"]).label_hash != facts_of(tokens=["xy"]).label_hash


def test_fingerprint_does_not_depend_on_the_margin() -> None:
    wide = np.pad(picture(), 7)
    _, one = row_facts(row(), "train", 0, VOCABULARY)
    _, two = row_facts(row(image=encode_png(wide), height=34, width=44), "train", 0, VOCABULARY)
    assert len(one) == FINGERPRINT_BYTES
    assert one == two


def test_ink_must_agree_with_its_row() -> None:
    assert ink_error(pack(INK), 2) == ""
    assert ink_error(None, 2) is None
    assert "holds 2 strokes; declared 3" in (ink_error(pack(INK), 3) or "")
    assert ink_error(pack(INK)[:20], 2)


@pytest.mark.parametrize("side", [{"left": -5.0}, {"right": 40.0}, {"bottom": 30.0}, {"top": 19.5}])
def test_boxes_must_lie_in_the_picture(side: dict[str, float]) -> None:
    box = row()["symbol_boxes"][0]
    assert box_error([box], 20, 30) == ""
    assert box_error(None, 20, 30) is None
    assert "box of x" in (box_error([box, {**box, **side}], 20, 30) or "")


def test_empty_values_are_named_and_other_facts_still_gathered() -> None:
    facts = facts_of(id=None, image=None, tokens=None, writer="", strokes=0, ink=None)
    assert facts.missing == "id tokens image"
    assert facts.writer is None
    assert (facts.parse_error, facts.image_error, facts.ink_error) == (None, None, None)
    assert (facts.tokens, facts.strokes) == (None, None)
    assert facts.broken == ""


def test_a_probe_that_raises_is_broken_and_not_bad_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(tokens: list[str]) -> None:
        raise IndexError("pop from empty list")

    monkeypatch.setattr(module, "parse", explode)
    facts = facts_of()
    assert facts.broken == "label: IndexError: pop from empty list"
    assert facts.parse_error is None
    assert facts.image_error == ""


def test_captions_are_compared_with_raw_truths_where_a_dialect_is_given() -> None:
    def of(latex: str, tokens: list[str], dialect: str | None) -> str | None:
        changed = row(latex=latex, tokens=tokens)
        difference: str | None = row_facts(changed, "train", 0, VOCABULARY, dialect)[0][
            "difference"
        ]
        return difference

    assert of("$x$", ["x"], None) is None
    assert of("", ["x"], "wap") is None
    assert of("$x$", ["x"], "wap") == ""
    assert of("$x+y$", ["x"], "wap") == "caption leaves tokens out: x + y, given as x"


def test_symbol_height_is_of_letters_and_digits() -> None:
    strokes = [np.array([[n, 0], [n, high]], np.float32) for n, high in enumerate((1, 1.5, 2, 9))]
    names = ("x", "1", "a", "(")
    symbols = tuple(Symbol(name, (n,)) for n, name in enumerate(names))
    assert facts_of(ink=pack(Ink(tuple(strokes), symbols))).symbol_height == 1.5
    assert facts_of(ink=pack(Ink(tuple(strokes), symbols[3:]))).symbol_height is None
    assert facts_of().symbol_height is None  # no segmentation
    assert facts_of(ink=None).symbol_height is None
    damaged = facts_of(ink=b"no ink")
    assert (damaged.symbol_height, damaged.broken) == (None, "")
