from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.tree import serialise
from hmer.synthesis.glyphs.cutting import (
    Sourced,
    align,
    cut_bank,
    font_extents,
    is_sized,
    learn_extents,
    read_training_inks,
)
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.layout import write

EXTENTS = {"a": (-0.8, 0.0), "b": (-1.2, 0.0), "p": (-0.8, 0.5), "-": (-0.45, -0.4)}


def written(scale: float, slope: float, caption: str, tokens: str) -> Ink:
    """Boxes as tall as their class, on a baseline through (0, 3)."""
    strokes = []
    for number, token in enumerate(tokens):
        top, bottom = EXTENTS[token]
        x = 2.0 * scale * number
        level = 3.0 + slope * (x + scale / 2)
        strokes.append(
            np.array(
                [(x, level + top * scale), (x + scale, level + bottom * scale)], dtype=np.float32
            )
        )
    split = caption.split()
    places = [split.index(token) for token in tokens]
    symbols = tuple(Symbol(t, (n,), places[n]) for n, t in enumerate(tokens))
    return Ink(tuple(strokes), symbols)


@pytest.mark.parametrize("scale", [0.5, 1.0, 7.0])
@pytest.mark.parametrize("slope", [0.0, 0.1, -0.05])
def test_scale_baseline_and_slope_are_found(scale: float, slope: float) -> None:
    caption = "a b p - "
    extents = EXTENTS | {"c": (-0.8, 0.0)}
    ink = written(scale, slope, caption, "abp-")
    (row,) = align(ink, caption.split(), extents)
    assert row.sized == 3 and row.scale == pytest.approx(scale)
    if slope == 0:
        assert row.level(5.0) == pytest.approx(3.0, abs=1e-4)


def test_a_climbing_baseline_needs_four_sized_symbols() -> None:
    tokens = "a b p q".split()
    extents = EXTENTS | {"q": (-0.8, 0.5)}
    strokes = [
        np.array(
            [
                (x, 1 + 0.1 * (x + 0.5) + extents[t][0]),
                (x + 1, 1 + 0.1 * (x + 0.5) + extents[t][1]),
            ],
            np.float32,
        )
        for x, t in zip((0, 2, 4, 6), tokens, strict=True)
    ]
    symbols = tuple(Symbol(t, (n,), n) for n, t in enumerate(tokens))
    (row,) = align(Ink(tuple(strokes), symbols), tokens, extents)
    assert row.slope == pytest.approx(0.1, abs=1e-4)
    glyph = row.glyph(row.symbols[3])
    points = np.concatenate(glyph)
    assert points[:, 0].min() == 0.0
    assert (points[:, 1].min(), points[:, 1].max()) == pytest.approx(extents["q"], abs=1e-3)


def test_scripts_are_rows_of_their_own() -> None:
    strokes = (
        np.array([(0, 0), (1, 0.8)], np.float32),
        np.array([(1.1, -0.4), (1.5, 0.2)], np.float32),
    )
    symbols = (Symbol("a", (0,), 0), Symbol("b", (1,), 3))
    base, script = align(Ink(strokes, symbols), "a ^ { b }".split(), EXTENTS)
    assert base.scale == pytest.approx(1.0) and base.baseline == pytest.approx(0.8)
    assert script.scale == pytest.approx(0.5) and script.baseline == pytest.approx(0.2)


def test_a_prime_alone_is_as_large_as_scripts_are_where_it_hangs() -> None:
    tokens = r"a b ^ { \prime }".split()
    extents = EXTENTS | {r"\prime": (-1.5, -1.1)}
    boxes = [(0, 2.2, 1, 3.0), (2, 1.8, 3, 3.0), (3.2, 1.4, 3.4, 2.02)]
    strokes = tuple(np.array([box[:2], box[2:]], np.float32) for box in boxes)
    symbols = tuple(Symbol(tokens[n], (k,), n) for k, n in enumerate((0, 1, 4)))
    line, script = align(Ink(strokes, symbols), tokens, extents)
    assert line.scale == pytest.approx(1.0) and script.scale == pytest.approx(0.62)
    (glyph,) = script.glyph(script.symbols[0])
    assert np.ptp(glyph[:, 1]) == pytest.approx(1.0, abs=1e-3)
    assert glyph[:, 1].mean() == pytest.approx(-1.3, abs=1e-3)


def test_rows_of_bars_and_dots_have_no_scale() -> None:
    ink = Ink((np.array([(0, 0), (1, 0)], np.float32),), (Symbol("-", (0,), 0),))
    (row,) = align(ink, ["-"], EXTENTS)
    assert row.scale is None
    with pytest.raises(ValueError, match="scale"):
        row.glyph(row.symbols[0])


@pytest.mark.parametrize(
    ("tokens", "place"), [("a }", 0), ("a", None), ("a", 5)], ids=["latex", "unplaced", "outside"]
)
def test_contradictions_give_nothing(tokens: str, place: int | None) -> None:
    ink = Ink((np.array([(0, 0), (1, 1)], np.float32),), (Symbol("a", (0,), place),))
    assert align(ink, tokens.split(), EXTENTS) == []


def test_two_symbols_in_one_place_give_nothing() -> None:
    stroke = np.array([(0, 0), (1, 1)], np.float32)
    ink = Ink((stroke, stroke), (Symbol("a", (0,), 0), Symbol("a", (1,), 0)))
    assert align(ink, ["a", "b"], EXTENTS) == []


def test_the_fonts_extents() -> None:
    extents = font_extents(["x", "p", "2", r"\sin", r"\frac"])
    assert extents["x"] == pytest.approx((-0.8, 0.0), abs=0.1)
    assert extents["p"][1] > 0.4 and extents["2"][0] == pytest.approx(-1.25, abs=0.05)
    assert r"\frac" not in extents
    assert is_sized("x", extents) and is_sized(r"\sin", extents)
    assert not is_sized("(", font_extents(["("])) and not is_sized("-", font_extents(["-"]))


@pytest.fixture(scope="module")
def items() -> list[Sourced]:
    """Expressions in the vector font: where every symbol stands is known."""
    grammar = Grammar(GrammarConfig(max_tokens=20))
    found = []
    for number in range(250):
        rng = np.random.default_rng([9, number])
        row = grammar.sample(rng)
        hand = number % 12
        ink = normalise(write(row, Writer.draw(hand), rng))
        found.append(Sourced(ink, serialise(row), f"hand-{hand}", "font"))
    return found


def test_glyphs_stand_on_the_baseline_at_one_size(items: list[Sourced]) -> None:
    bank = cut_bank(items)
    assert len(bank) > 1500
    assert set(bank.groups) == {"font"} and len(bank.writers) == 12
    usual = font_extents(bank.tokens)
    for token in ("x", "y", "2", "+", "3"):
        samples = np.flatnonzero(bank.token_of == bank.tokens.index(token))
        y = [np.concatenate(bank.glyph(int(number)))[:, 1] for number in samples]
        assert np.median([points.min() for points in y]) == pytest.approx(usual[token][0], abs=0.13)
        assert np.median([points.max() for points in y]) == pytest.approx(usual[token][1], abs=0.13)
        assert np.std([points.max() for points in y]) < 0.2


def test_lowercase_and_scripts_come_to_the_same_size(items: list[Sourced]) -> None:
    extents = learn_extents(items)
    heights = {token: bottom - top for token, (top, bottom) in extents.items()}
    assert heights["2"] == pytest.approx(1.25, abs=0.15)
    assert heights["x"] == pytest.approx(0.8, abs=0.15)


def test_ink_without_places_is_skipped(items: list[Sourced]) -> None:
    bare = [Sourced(Ink(item.ink.strokes), item.tokens, "w", "s") for item in items[:7]]
    wrong = [Sourced(items[0].ink, ["x", "}"], "w", "s")]
    bank = cut_bank([*items[:60], *bare, *wrong])
    assert "w" not in bank.writers
    with pytest.raises(HmerError, match="empty"):
        cut_bank(bare)


def test_absurd_symbols_are_left_out(items: list[Sourced]) -> None:
    """A symbol that grew tenfold is not a sample of its class."""
    item = items[0]
    before = cut_bank(items)
    number = next(
        n for n, symbol in enumerate(item.ink.symbols) if symbol.token not in (r"\frac", r"\sqrt")
    )
    strokes = list(item.ink.strokes)
    for index in item.ink.symbols[number].strokes:
        strokes[index] = strokes[index] * np.float32(10)
    spoilt = Sourced(Ink(tuple(strokes), item.ink.symbols), item.tokens, item.writer, item.source)
    after = cut_bank([spoilt, *items[1:]])
    token = item.ink.symbols[number].token
    assert after.count()[token] < before.count()[token]


def test_a_dataset_is_read_and_held_out_splits_are_not(small_dataset: Path) -> None:
    found = list(read_training_inks(small_dataset / "train.parquet"))
    assert found and all(item.writer for item in found)
    bank = cut_bank(found)
    assert len(bank) > 100
    with pytest.raises(HmerError, match="evaluation would be on training data"):
        list(read_training_inks(small_dataset / "val.parquet"))
    with pytest.raises(HmerError, match="no such data set split"):
        list(read_training_inks(small_dataset / "nothing.parquet"))


def test_a_damaged_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"nothing")
    with pytest.raises(HmerError, match="not a data set split"):
        list(read_training_inks(tmp_path / "train.parquet"))
