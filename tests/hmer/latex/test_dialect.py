from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.ingest.row_checks import caption_difference
from hmer.latex.dialect import Dialect, canonical, canonical_row, dialect_named, normalise, respell
from hmer.latex.reader import tokenize
from hmer.latex.tree import Row, parse, serialise, walk
from hmer.latex.vocabulary import vocabulary
from tests.hmer.latex.conftest import Caption


@pytest.mark.parametrize("name", ["wap", "comer", "can"])
def test_dialects_agree_with_their_vocabulary(name: str) -> None:
    dialect, words = dialect_named(name), vocabulary(name)
    assert dialect.name == name
    assert dialect.limits == ("\\limits" in words)
    for other, own in dialect.spellings.items():
        assert other not in words
        assert own in words


def test_unknown_dialect() -> None:
    with pytest.raises(LatexError, match="choose one of wap, comer, can"):
        dialect_named("latin")


@pytest.mark.parametrize(
    ("dialect", "caption"),
    [
        ("wap", r"\int \limits _ { 0 } ^ { 2 \pi } f ^ { ' }"),
        ("comer", r"\int \limits _ { 0 } ^ { 2 \Pi } f ^ { \prime }"),
        ("can", r"\int _ { 0 } ^ { 2 \pi } f ^ { ' }"),
        (Dialect("own", subscript_first=False), r"\int \limits ^ { 2 \Pi } _ { 0 } f ^ { ' }"),
    ],
)
def test_dialects(dialect: str | Dialect, caption: str) -> None:
    assert normalise(r"\int\limits^{2\Pi}_0 f'", dialect) == caption.split()


@pytest.mark.parametrize("operator", [r"\sum", r"\lim"])
def test_limits_that_change_nothing_are_dropped(operator: str) -> None:
    assert normalise(operator + r"\limits_0") == [operator, "_", "{", "0", "}"]


def test_limits_of_a_fraction_keep_their_order() -> None:
    assert normalise(r"\frac12^3_4") == tokenize(r"\frac { 1 } { 2 } _ { 4 } ^ { 3 }")


def test_respell_goes_from_dialect_to_dialect() -> None:
    tokens = tokenize(r"\int \limits _ { 0 } f ^ { ' }")
    assert respell(tokens, "comer") == tokenize(r"\int \limits _ { 0 } f ^ { \prime }")
    assert respell(tokens, "can") == tokenize(r"\int _ { 0 } f ^ { ' }")
    with pytest.raises(LatexError):
        respell(["x", "^"], "can")


def test_normalising_to_an_unknown_dialect() -> None:
    with pytest.raises(LatexError, match="choose one of"):
        normalise("x", "latin")


_PIECES = st.sampled_from(
    tokenize(r"{ } [ ] ^ _ ' x 1 l o g . $ & \frac \sqrt \limits \int \sum \over \left \right")
    + tokenize(r"\mbox \mathrm \bar \, \lt \| \begin \ABOVE \\ \binom \sb \log")
    + ["{}", "ABOVE"]
)


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map(" ".join)))
def test_any_text_gives_a_caption_or_an_error(text: str) -> None:
    try:
        tokens = normalise(text)
    except LatexError as error:
        assert "\n" not in str(error)
        return
    assert serialise(parse(tokens)) == tokens
    assert normalise(" ".join(tokens)) == tokens


@given(data=st.data())
def test_captions_are_read_as_they_are_parsed(
    data: st.DataObject, trees: st.SearchStrategy[Row]
) -> None:
    tokens = serialise(data.draw(trees))
    try:
        once = normalise(" ".join(tokens))
    except LatexError:
        assert "'" in tokens  # a prime after a superscript is a second superscript
        return
    assert normalise(" ".join(once)) == once


@pytest.mark.parametrize(
    "text",
    ["{" * 20_000, "x^" * 10_000, r"\sqrt" * 4_000, "{x^{2}" * 60 + "}" * 60, "{" * 60 + "x"],
)
def test_hostile_depth_ends_quickly(text: str) -> None:
    try:
        normalise(text)
    except LatexError as error:
        assert len(str(error)) < 300


def test_absurd_length_is_refused() -> None:
    with pytest.raises(LatexError, match="20001 characters"):
        normalise("x" * 20_001)
    with pytest.raises(LatexError, match="caption of over 20000 characters"):
        normalise("x^2" * 6_000)
    longest = normalise("x" * 10_000)
    assert normalise(" ".join(longest)) == longest


@pytest.mark.crohme
@pytest.mark.parametrize(
    ("split", "count", "rate"), [("train", 8835, 0.993), ("test2014", 986, 0.991)]
)
def test_captions_of_the_literature(
    literature: dict[str, list[Caption]], split: str, count: int, rate: float
) -> None:
    known = literature[split]
    assert len(known) == count
    other = [one for one in known if caption_difference(one.raw, one.caption.split(), "wap")]
    assert 1 - len(other) / count >= rate


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("x ^ { 2 } _ { i }", "x _ { i } ^ { 2 }"),
        (r"\int \limits ^ { 1 } _ { 0 } x", r"\int _ { 0 } ^ { 1 } x"),
        ("{ { x } + { y z } }", "x + y z"),
        ("{ a b } ^ { 2 }", "a b ^ { 2 }"),
        ("{ x _ { i } } ^ { 2 }", "{ x _ { i } } ^ { 2 }"),  # not set like x_i^2
        ("x _ { } ^ { 2 }", "x ^ { 2 }"),
        (r"\sqrt [ ] { x }", r"\sqrt { x }"),
        (r"\frac { } { x }", r"\frac { } { x }"),
        ("{ } ^ { 2 } x { } ^ { 3 } y", "^ { 2 } x { } ^ { 3 } y"),
        ("x { ^ { 2 } }", "x { } ^ { 2 }"),
        ("{ } ^ { }", ""),
        ("f ^ { ' }", r"f ^ { \prime }"),
        (r"f \prime", r"f \prime"),
        ("x ^", "x ^"),
        (r"\limits x", r"\limits x"),
    ],
)
def test_hand_worked(caption: str, expected: str) -> None:
    assert canonical(caption.split()) == expected.split()


@given(data=st.data())
def test_is_a_projection_that_keeps_the_symbols(
    data: st.DataObject, trees: st.SearchStrategy[Row]
) -> None:
    row = data.draw(trees)
    once = canonical(serialise(row))
    assert canonical(once) == once
    assert "\\limits" not in once
    signs = [node.token.replace("'", "\\prime") for node in walk(row) if node.token]
    kept = [node.token for node in walk(parse(once)) if node.token]
    assert sorted(kept) == sorted(signs)
    assert serialise(canonical_row(row)) == once
