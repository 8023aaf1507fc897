from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import load_expressions
from hmer.latex.alignment import stroke_places
from hmer.latex.tree import Relation
from hmer.synthesis.editable_ink import (
    NOWHERE,
    Part,
    extent,
    faults,
    joined,
    move,
    parts_of,
    spelled,
    take,
    to_ink,
    walk,
)
from hmer.synthesis.ink_index import Material


def square(token: str, left: float, top: float, size: float = 1.0) -> Part:
    points = np.array([[0, 0], [1, 1]], np.float32) * size + np.array([left, top], np.float32)
    return Part(token, (points,))


def test_boxes_follow_moves_and_scales() -> None:
    part = square("x", 2, 3)
    part.rows.append((Relation.SUP, [square("2", 3, 2, 0.5)]))
    assert part.box() == (2, 3, 3, 4)
    assert part.extent() == (2, 2, 3.5, 4)
    part.move(1, -1)
    assert part.extent() == (3, 1, 4.5, 3)
    part.grow(2)
    assert part.extent() == (6, 2, 9, 6)
    assert part.drawn()[0].tolist() == [[6, 4], [8, 6]]
    part.fit((0, 0, 4, 1))
    assert part.box() == (0, 0, 4, 1)
    assert part.drawn()[0].tolist() == [[0, 0], [4, 1]]
    part.draw((np.zeros((1, 2), np.float32),))
    assert part.box() == (0, 0, 0, 0)


def test_what_has_no_extent_is_centred() -> None:
    part = Part("-", (np.array([[0, 5], [2, 5]], np.float32),))
    part.fit((10, 0, 14, 2))
    assert part.box() == (10, 1, 14, 1)


def test_rows() -> None:
    row = [square("a", 0, 0), Part("", (), [(Relation.INSIDE, [square("b", 2, 0)])])]
    assert extent(row) == (0, 0, 3, 1)
    move(row, 1, 1)
    assert extent(row) == (1, 1, 4, 2)
    assert [part.token for part in walk(row)] == ["a", "", "b"]
    assert extent([]) == NOWHERE
    assert joined(NOWHERE, (0, 1, 2, 3)) == (0, 1, 2, 3)


def test_ink_and_caption_come_back(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    material = Material.of(expressions)
    for number, tokens in enumerate(material.tokens):
        ink = expressions.ink(number)
        assert ink is not None
        row = take(material, number, 0, len(tokens))
        for one in (row, parts_of(ink, tokens)):
            assert spelled(one) == tokens
            found = to_ink(one)
            assert stroke_places(found, tokens) is not None
            assert found.bounds() == pytest.approx(ink.bounds(), abs=1e-5)
            by_place = {s.place: s for s in ink.symbols}
            for symbol in found.symbols:
                other = by_place[symbol.place]
                for a, b in zip(symbol.strokes, other.strokes, strict=True):
                    np.testing.assert_allclose(found.strokes[a], ink.strokes[b], atol=1e-5)


def box(token: str, left: float, top: float, right: float, bottom: float) -> Part:
    return Part(token, (np.array([[left, top], [right, bottom]], np.float32),))


@pytest.mark.parametrize(
    ("token", "relation", "where", "good"),
    [
        ("x", Relation.SUP, (4, -1, 5, 0), True),
        ("x", Relation.SUP, (4, 3, 5, 4), False),
        ("x", Relation.SUB, (4, 3, 5, 4), True),
        ("x", Relation.SUB, (4, -1, 5, 0), False),
        (r"\frac", Relation.ABOVE, (1, -1, 3, 0), True),
        (r"\frac", Relation.ABOVE, (1, 4, 3, 5), False),
        (r"\frac", Relation.BELOW, (1, 4, 3, 5), True),
        (r"\frac", Relation.BELOW, (6, 4, 9, 5), False),
        (r"\sqrt", Relation.INSIDE, (1, 0, 3, 3), True),
        (r"\sqrt", Relation.INSIDE, (5, 0, 7, 3), False),
    ],
)
def test_relations(
    token: str, relation: Relation, where: tuple[float, float, float, float], good: bool
) -> None:
    part = box(token, 0, 0, 4, 4)
    part.rows = [(relation, [box("a", *where)])]
    found = list(faults([part]))
    assert len(found) == (not good)
    assert all(token in fault and relation in fault for fault in found)


def test_order() -> None:
    row = [box("a", 2, 0, 3, 1), box("b", 0, 0, 1, 1)]
    assert list(faults(row)) == ["b is not to the right of a"]
    assert not list(faults(row[::-1]))


def test_typeset_ink_has_hardly_any(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    bad = 0
    for number, tokens in enumerate(expressions.tokens):
        ink = expressions.ink(number)
        assert ink is not None
        bad += any(faults(parts_of(ink, tokens)))
    assert bad <= 0.1 * len(expressions)
