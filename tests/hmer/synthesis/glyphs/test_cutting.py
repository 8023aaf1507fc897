from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.serialise import serialise
from hmer.synthesis.glyphs.baselines import font_extents
from hmer.synthesis.glyphs.cutting import Sourced, cut_bank, learn_extents, read_training_inks
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.layout import write


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
    bank, report = cut_bank(items)
    assert report.inks == 250 and report.without_places == 0
    assert report.cut == len(bank) > 1500
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


def test_ink_without_places_is_skipped_and_counted(items: list[Sourced]) -> None:
    bare = [Sourced(Ink(item.ink.strokes), item.tokens, "w", "s") for item in items[:7]]
    wrong = [Sourced(items[0].ink, ["x", "}"], "w", "s")]
    bank, report = cut_bank([*items[:60], *bare, *wrong])
    assert report.without_places == 8 and report.inks == 68
    assert "w" not in bank.writers
    with pytest.raises(HmerError, match="empty"):
        cut_bank(bare)


def test_absurd_symbols_are_left_out(items: list[Sourced]) -> None:
    """A symbol that grew tenfold is not a sample of its class."""
    item = items[0]
    before, _ = cut_bank(items)
    number = next(
        n for n, symbol in enumerate(item.ink.symbols) if symbol.token not in (r"\frac", r"\sqrt")
    )
    strokes = list(item.ink.strokes)
    for index in item.ink.symbols[number].strokes:
        strokes[index] = strokes[index] * np.float32(10)
    spoilt = Sourced(Ink(tuple(strokes), item.ink.symbols), item.tokens, item.writer, item.source)
    after, report = cut_bank([spoilt, *items[1:]])
    assert len(after) < len(before)
    assert report.outliers[item.ink.symbols[number].token] >= 1


def test_a_dataset_is_read_and_held_out_splits_are_not(small_dataset: Path) -> None:
    found = list(read_training_inks(small_dataset / "train.parquet"))
    assert found and all(item.writer for item in found)
    bank, _ = cut_bank(found)
    assert len(bank) > 100
    with pytest.raises(HmerError, match="evaluation would be on training data"):
        list(read_training_inks(small_dataset / "val.parquet"))
    with pytest.raises(HmerError, match="no such data set split"):
        list(read_training_inks(small_dataset / "nothing.parquet"))


def test_a_damaged_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"nothing")
    with pytest.raises(HmerError, match="not a data set split"):
        list(read_training_inks(tmp_path / "train.parquet"))
