"""Attention localisation, by hand and from end to end on an untrained recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from hmer.data.dataset import Expressions, load_expressions
from hmer.evaluation import localisation
from hmer.evaluation.annotated import Annotated, WrittenSymbol
from hmer.evaluation.bootstrap import FloatArray
from hmer.evaluation.localisation import (
    CLASSES,
    INFORMATIVE,
    LocalisationConfig,
    _even,
    _informative,
    _inked,
    cells_in_boxes,
    class_shares,
    judge_cross_attention,
    lift_by_class,
    localise,
    membership,
    pointing_by_class,
    pointing_game,
    symbol_classes,
)
from hmer.ink.boxes import SymbolBox
from hmer.latex.vocabulary import vocabulary
from hmer.models.attention_coverage import AttentionCoverage, AttentionCoverageConfig, GruConfig
from hmer.models.common.encoders import CompactConfig
from hmer.recognizer import Recognizer


def symbol(token: str, *, script: bool = False) -> WrittenSymbol:
    return WrittenSymbol(token, SymbolBox(token, 0, 0, 8, 8), None, script)


def test_kinds() -> None:
    tokens = ("\\frac", "\\sqrt", "+", "=", "(", "7", "x", "\\pi", "\\sum", ",")
    assert [symbol_classes(symbol(token))[0] for token in tokens] == [
        *("fraction bar", "radical", "operator", "relation", "bracket"),
        *("digit", "letter", "other", "large operator", "dots"),
    ]
    assert {symbol_classes(symbol(token))[0] for token in tokens} < set(CLASSES)


def test_what_carries_structure() -> None:
    assert not INFORMATIVE.isdisjoint(symbol_classes(symbol("\\sqrt")))
    assert symbol_classes(symbol("x", script=True)) == ("letter", "script")
    assert INFORMATIVE.isdisjoint(symbol_classes(symbol("x")))


def example() -> tuple[Annotated, np.ndarray]:
    """A small x in a script (4 pixels) below a bar (12), a pixel of nobody, and a map."""
    owners = np.full((8, 8), -1)
    owners[1:3, 1:3] = 0
    owners[5:7, 2:8] = 1
    image = np.where(owners >= 0, 255, 0).astype(np.uint8)
    image[0, 0] = 255  # ink that belongs to no symbol
    attention = np.zeros((8, 8))
    attention[1:3, 1:3] = 3.0
    attention[5:7, 2:8] = 1.0
    attention[0, 0] = 8.0
    attention[0, 7] = 50.0  # off the ink: does not count
    symbols = (symbol("x", script=True), symbol("\\frac"))
    return Annotated("a", ["x"], image, symbols, owners), attention


def test_shares_by_hand() -> None:
    shown, attention = example()
    shares = class_shares(attention, shown, 1)
    columns = [CLASSES.index(name) for name in ("letter", "script", "fraction bar")]
    assert shares[0, columns] == pytest.approx([12 / 32, 12 / 32, 12 / 32])
    assert shares[1, columns] == pytest.approx([4 / 17, 4 / 17, 12 / 17])
    assert shares.sum() == pytest.approx(36 / 32 + 20 / 17)
    assert membership(shown.symbols).sum(axis=0)[columns].tolist() == [1, 1, 1]


def test_lift_is_the_ratio_of_the_mean_shares() -> None:
    shares = np.zeros((2, 2, len(CLASSES)))
    digit, letter = CLASSES.index("digit"), CLASSES.index("letter")
    shares[0, :, digit] = 0.6, 0.2
    shares[1, :, digit] = 0.2, 0.2
    shares[1, :, letter] = 0.1, 0.4
    found = lift_by_class(shares, 0)
    assert {kind: lift.mean for kind, lift in found.items()} == pytest.approx(
        {"digit": 2.0, "letter": 0.25}
    )
    assert (found["digit"].low, found["digit"].high) == pytest.approx((1.0, 3.0))


def test_the_lift_of_a_class_that_hardly_any_expression_has() -> None:
    """Most resamples do not hold it and are left out."""
    shares = np.zeros((400, 2, len(CLASSES)))
    shares[7, :, CLASSES.index("letter")] = 0.3, 0.1
    assert lift_by_class(shares, 0)["letter"] == pytest.approx((3.0, 3.0, 3.0))


def test_attention_beside_the_ink_is_no_classes() -> None:
    shown, attention = example()
    away = np.zeros((8, 8))
    away[0, 7] = 1.0
    found = class_shares(away, shown, 1)
    assert not found[0].any()
    assert found[1] == pytest.approx(class_shares(attention, shown, 1)[1])


def test_cells_in_boxes_go_by_their_centres() -> None:
    boxes = [SymbolBox("x", 3.0, 2.0, 13.0, 9.0), SymbolBox("-", 20.0, 4.0, 30.0, 5.0)]
    inside = cells_in_boxes([WrittenSymbol(b.token, b, None, False) for b in boxes], (4, 9), 4)
    # Centres at 2, 6, 10, ...; grown by 2, the first box reaches from 1 to 15, and from 0 to 11.
    assert np.argwhere(inside[0]).tolist() == [[r, c] for r in (0, 1, 2) for c in (0, 1, 2, 3)]
    assert np.argwhere(inside[1]).tolist() == [[r, c] for r in (0, 1) for c in (4, 5, 6, 7)]


STRIDE = 4


def written(token: str, left: int, right: int, place: int | None) -> WrittenSymbol:
    return WrittenSymbol(token, SymbolBox(token, left, 4, right, 8), place, False)


def expression() -> Annotated:
    """`1 { + } 2`: three symbols in cells 0, 2 and 4 of the middle one of three rows."""
    symbols = (written("2", 16, 20, 4), written("1", 0, 4, 0), written("+", 8, 12, 2))
    owners = np.full((12, 20), -1)
    for number, symbol in enumerate(symbols):
        owners[4:8, int(symbol.box.left) : int(symbol.box.right)] = number
    image = np.where(owners >= 0, 255, 0).astype(np.uint8)
    return Annotated("a", ["1", "{", "+", "}", "2"], image, symbols, owners)


def looks(*columns: int) -> np.ndarray:
    """One map per token, with 0.75 in a cell of the middle row and 0.25 in the top left one."""
    maps = np.zeros((len(columns), 3, 5))
    for row, column in enumerate(columns):
        maps[row, 1, column] += 0.75
        maps[row, 0, 0] += 0.25
    return maps


def test_hits_and_misses() -> None:
    # Tokens: 1 is attended to; `{` anywhere; for + the 1 before it; `}` anywhere; 2 is attended to.
    found = pointing_game([expression()], [looks(0, 3, 0, 3, 4)], STRIDE)
    assert found.hit.tolist() == [1.0, 0.0, 1.0]
    assert found.expression.tolist() == [0, 0, 0]
    # Boxes are grown by half a cell: the middle of no other symbol lies in them.
    assert found.chance == pytest.approx([1 / 3] * 3)


def test_a_place_must_agree_with_the_caption() -> None:
    shown = expression()
    odd = (written("3", 16, 20, 4), written("1", 0, 4, None), written("+", 8, 12, 2))
    found = pointing_game(
        [Annotated("a", shown.tokens, shown.image, odd, shown.owners)], [looks(0, 0, 2, 0, 4)], 4
    )
    assert found.hit.tolist() == [1.0]


def test_classes_and_intervals() -> None:
    shown = [expression(), expression(), expression()]
    maps = [looks(0, 0, 2, 0, 4), looks(0, 0, 0, 0, 4), None]
    rows = pointing_by_class(pointing_game(shown, maps, STRIDE), 0)
    assert {kind: count for kind, (count, _, _) in rows.items()} == {
        "all": 6, "digit": 4, "operator": 2,
    }  # fmt: skip
    assert rows["all"][1].mean == pytest.approx(100 * 5 / 6)
    assert rows["digit"][1] == (100.0, 100.0, 100.0)
    assert (rows["operator"][1].low, rows["operator"][1].high) == (0.0, 100.0)
    assert rows["all"][2] == pytest.approx(100 / 3)


def test_nothing_to_judge() -> None:
    assert len(pointing_game([], [], STRIDE)) == 0
    assert len(pointing_game([expression()], [None], STRIDE)) == 0


CONFIG = LocalisationConfig(limit=4)


def without_map(recognizer: Recognizer) -> Recognizer:
    words = vocabulary("wap")
    torch.manual_seed(0)
    config = AttentionCoverageConfig(
        encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
        decoder=GruConfig(width=16, attention=16),
    )
    return Recognizer(AttentionCoverage(config, words), words, recognizer.render)


def test_localise(recognizer: Recognizer, expressions: Expressions) -> None:
    section = localise(recognizer, expressions, CONFIG, 0)
    numbers = section.numbers
    assert section.name == "localisation"
    assert numbers["expressions"] == 4
    assert numbers["lift_low"] <= numbers["lift"] <= numbers["lift_high"]
    assert numbers["lift_even"] > 1.0  # the map cannot fall on blank paper
    for name in ("pointing", "pointing_chance"):
        assert 0.0 <= numbers[name] <= 100.0
    assert [figure.name for figure in section.figures] == ["lift"]
    assert len(section.galleries[0].rows[0][1]) == 4


def test_the_same_every_time(recognizer: Recognizer, expressions: Expressions) -> None:
    for judge in (localise, judge_cross_attention):
        first, second = (judge(recognizer, expressions, CONFIG, 3) for _ in range(2))
        assert first.numbers == second.numbers
        for one, two in zip(first.tables, second.tables, strict=True):
            assert one.frame.equals(two.frame)
        assert first.galleries == second.galleries


def test_cross_attention(recognizer: Recognizer, expressions: Expressions) -> None:
    section = judge_cross_attention(recognizer, expressions, CONFIG, 0)
    numbers = section.numbers
    rows = [0, 1, 3, 4]  # of six, evenly spread
    written = sum(len(ink.symbols) for row in rows if (ink := expressions.ink(row)) is not None)
    assert section.name == "cross_attention"
    assert numbers["symbols"] == written
    assert numbers["pointing_low"] <= numbers["pointing"] <= numbers["pointing_high"]
    assert 0.0 < numbers["pointing_chance"] < 100.0
    assert section.tables[0].frame["symbols"][0] == written
    assert len(section.galleries[0].rows) == 4


def test_recognisers_without_a_map(recognizer: Recognizer, expressions: Expressions) -> None:
    other = without_map(recognizer)
    section = localise(other, expressions, CONFIG, 0)
    assert "no such map" in section.text
    assert not section.numbers
    assert judge_cross_attention(other, expressions, CONFIG, 0).numbers["symbols"] > 0


def test_pictures_without_symbols(recognizer: Recognizer, picture_dataset: Path) -> None:
    bare = load_expressions(picture_dataset / "val.parquet")
    section = localise(recognizer, bare, CONFIG, 0)
    assert "lift" in section.numbers
    assert "pointing" not in section.numbers
    assert not section.figures and section.galleries
    crossed = judge_cross_attention(recognizer, bare, CONFIG, 0)
    assert not crossed.numbers
    assert "nothing can be judged" in crossed.text


def test_nothing_asked(recognizer: Recognizer, expressions: Expressions) -> None:
    none = CONFIG.model_copy(update={"limit": 0})
    assert not localise(recognizer, expressions, none, 0).numbers
    assert not judge_cross_attention(recognizer, expressions, none, 0).numbers


def test_a_map_that_knows_everything_wins(
    recognizer: Recognizer, expressions: Expressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clever(model: object, shown: Sequence[Annotated]) -> list[FloatArray]:
        return [_informative(o, 8) * _inked(o, 8) + 0.1 * _even(o, 8) for o in shown]

    monkeypatch.setattr(localisation, "spatial_maps", clever)
    numbers = localise(recognizer, expressions, CONFIG, 0).numbers
    assert (numbers["pointing"], numbers["pointing_low"]) == (100.0, 100.0)
    assert min(numbers.get("lift_letter", 2.0), numbers.get("lift_digit", 2.0)) < 1.0
    monkeypatch.setattr(localisation, "spatial_maps", lambda _, shown: [_even(o, 8) for o in shown])
    numbers = localise(recognizer, expressions, CONFIG, 0).numbers
    assert numbers["gain"] == numbers["gain_low"] == pytest.approx(1.0)
    assert numbers["lift"] == pytest.approx(numbers["lift_even"])
