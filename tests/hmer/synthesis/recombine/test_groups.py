from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import load_expressions
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.latex.tree import Relation
from hmer.synthesis.glyphs.baselines import font_extents
from hmer.synthesis.recombine.groups import OPERAND, Groups, group_kind, holes, operands
from hmer.synthesis.structure.measure import measure
from hmer.synthesis.structure.parts import Part, extent, spelled, take, walk
from hmer.synthesis.structure.pieces import Material


@pytest.fixture(scope="module")
def groups(small_dataset: Path) -> Groups:
    material = Material.of(load_expressions(small_dataset / "train.parquet"))
    extents = font_extents(sorted({t for tokens in material.tokens for t in tokens}))
    return Groups(material, extents, 0.5)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a b + c", [(0, 2), (3, 4)]),
        ("- a", [(1, 2)]),
        ("( a + b ) c", [(1, 2), (3, 4), (5, 6)]),
        ("= ( |", []),
        ("", []),
    ],
)
def test_operands(row: str, expected: list[tuple[int, int]]) -> None:
    assert list(operands(row.split())) == expected


def test_limits_are_no_scripts() -> None:
    assert group_kind("x", Relation.SUP) == "sup"
    assert group_kind(r"\sum", Relation.SUP) == "sup-limit"


def test_holes_by_hand() -> None:
    script = [Part("2")]
    row = [Part("a"), Part("+"), Part("x", (), [(Relation.SUP, script)])]
    found = holes(row)
    assert [(hole.kind, hole.count) for hole in found] == [
        (OPERAND, 1), (OPERAND, 1), ("sup", 1), (OPERAND, 1),
    ]  # fmt: skip
    assert all(hole.way[0].row is row for hole in found)
    assert found[2].way[-1].row is script
    assert not [h for h in holes([Part("x")]) if len(h.way) == 1]  # all of it is no part of it


def test_exchange_keeps_the_rest(groups: Groups) -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(200):
        number = int(rng.integers(len(groups.material)))
        tokens = groups.material.tokens[number]
        row = take(groups.material, number, 0, len(tokens))
        found = holes(row)
        if not found:
            continue
        hole = found[int(rng.integers(len(found)))]
        step = hole.way[-1]
        old = step.row[step.index : step.index + hole.count]
        left = extent(old)[0]
        others = {id(part) for part in walk(row)} - {id(part) for part in walk(old)}
        if not groups.exchange(hole, rng):
            assert spelled(row) == tokens
            continue
        changed += 1
        assert others <= {id(part) for part in walk(row)}
        now = spelled(row)
        assert serialise(parse(now)) == now
        assert all(part.strokes for part in walk(row) if part.token)
        assert np.isfinite(extent(row)).all()
        assert np.isfinite(left)
    assert changed > 100


def test_what_comes_in_has_the_size_and_baseline_of_the_row(groups: Groups) -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for number, tokens in enumerate(groups.material.tokens):
        row = take(groups.material, number, 0, len(tokens))
        for hole in holes(row):
            if hole.kind != OPERAND or len(hole.way) > 1:
                continue
            first, before = hole.way[0].index, len(row)
            old = extent(row[first : first + hole.count])
            middle = (old[0] + old[2]) / 2
            wanted = measure(row, middle, groups.extents)
            if wanted is None or not groups.exchange(hole, rng):
                continue
            new = row[first : first + hole.count + len(row) - before]
            box = extent(new)
            found = measure(new, (box[0] + box[2]) / 2, groups.extents)
            assert found is not None
            assert found == pytest.approx(wanted, abs=1e-3)
            assert box[0] == pytest.approx(old[0], abs=1e-3)
            seen += 1
            break
    assert seen > 8
