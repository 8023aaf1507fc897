"""Whether the right symbol is looked at, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.annotated import Annotated, WrittenSymbol
from hmer.evaluation.attention.glances import SEEN, glances, looked_by_class
from hmer.ink.boxes import SymbolBox

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
    # Tokens: 1 is looked at; `{` anywhere; for + the 1 before it; `}` anywhere; 2 is looked at.
    found = glances([expression()], [looks(0, 3, 0, 3, 4)], STRIDE)
    assert found.hit.tolist() == [1.0, 0.0, 1.0]
    assert [SEEN[kind] for kind in found.seen] == ["the symbol", "the one before", "the symbol"]
    assert found.expression.tolist() == [0, 0, 0]
    # Boxes are grown by half a cell: the middle of no other symbol lies in them.
    assert found.chance == pytest.approx([1 / 3] * 3)
    # The grown box of the 1 ends at half of the cell on its right and of the rows around it.
    assert found.area == pytest.approx([1.5 * 2 / 15, 2 * 2 / 15, 1.5 * 2 / 15])
    assert found.mass == pytest.approx([0.75 + 0.25 * 0.5, 0.0, 0.75])


def test_what_is_seen_instead() -> None:
    found = glances([expression()], [looks(4, 0, 4, 0, 1)], STRIDE)
    assert [SEEN[kind] for kind in found.seen] == ["another", "the one after", "no symbol"]


def test_a_place_must_agree_with_the_caption() -> None:
    shown = expression()
    odd = (written("3", 16, 20, 4), written("1", 0, 4, None), written("+", 8, 12, 2))
    found = glances(
        [Annotated("a", shown.tokens, shown.image, odd, shown.owners)], [looks(0, 0, 2, 0, 4)], 4
    )
    assert found.hit.tolist() == [1.0]


def test_classes_and_intervals() -> None:
    shown = [expression(), expression(), expression()]
    maps = [looks(0, 0, 2, 0, 4), looks(0, 0, 0, 0, 4), None]
    rows = {row.kind: row for row in looked_by_class(glances(shown, maps, STRIDE), seed=0)}
    assert set(rows) == {"all", "digit", "operator"}
    assert (rows["all"].symbols, rows["digit"].symbols, rows["operator"].symbols) == (6, 4, 2)
    assert rows["all"].hit.mean == rows["all"].strict == pytest.approx(5 / 6)
    assert tuple(rows["digit"].hit) == (1.0, 1.0, 1.0)
    assert (rows["operator"].hit.low, rows["operator"].hit.high) == (0.0, 1.0)


def test_nothing_to_judge() -> None:
    assert len(glances([], [], STRIDE)) == 0
    assert len(glances([expression()], [None], STRIDE)) == 0
    assert looked_by_class(glances([], [], STRIDE), seed=0) == []
