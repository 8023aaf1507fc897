from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hmer.data.dataset import load_expressions
from hmer.latex.tree import Relation, parse, serialise
from hmer.synthesis.editable_ink import Part, extent, spelled, take, walk
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.cutting import font_extents
from hmer.synthesis.ink_index import Material
from hmer.synthesis.recombine.exchanges import (
    OPERAND,
    Groups,
    bank_extents,
    group_kind,
    holes,
    measure,
    operands,
    rewrite,
    ways,
)

EXTENTS = {"x": (-1.0, 0.0), "p": (-1.0, 0.5), "b": (-1.6, 0.0), "-": (-0.5, -0.45), "(": (-2, 1)}


def written(token: str, left: float, scale: float, baseline: float) -> Part:
    top, bottom = EXTENTS[token]
    points = np.array([[left, top], [left + 1, bottom]], np.float32) * np.array(
        [1, scale], np.float32
    )
    return Part(token, (points + np.array([0, baseline], np.float32),))


def test_scale_and_baseline_are_found_again() -> None:
    row = [written(token, 2 * i, 1.7, 5.0) for i, token in enumerate("xpb")]
    found = measure(row, 0.0, EXTENTS)
    assert found is not None
    assert found == pytest.approx((1.7, 5.0))


def test_bars_and_brackets_do_not_vote() -> None:
    row = [written("x", 0, 2.0, 1.0), written("-", 2, 9.0, 0.0), written("(", 4, 9.0, 3.0)]
    assert measure(row, 0.0, EXTENTS) == pytest.approx((2.0, 1.0))
    assert measure(row[1:], 0.0, EXTENTS) is None
    assert measure([Part("")], 0.0, EXTENTS) is None


def test_a_climbing_row_has_its_baseline_where_one_looks() -> None:
    row = [written("x", 2 * i, 1.0, -0.1 * i) for i in range(21)]
    left, right = measure(row, 0.0, EXTENTS), measure(row, 40.0, EXTENTS)
    assert left is not None and right is not None
    assert left.baseline == pytest.approx(-0.2, abs=0.1)
    assert right.baseline == pytest.approx(-1.8, abs=0.1)


def test_extents_of_a_bank() -> None:
    glyphs = [np.array([[0, -1.0 - d], [1, 0.0 + d]]) for d in (-0.1, 0.0, 0.1, 0.2, -0.2)]
    bank = GlyphBank.pack([Cutting("x", "ada", (glyph,)) for glyph in glyphs], {})
    assert bank_extents(bank) == {"x": pytest.approx((-1.0, 0.0), abs=0.01)}


def box(token: str, left: float, top: float, right: float, bottom: float) -> Part:
    return Part(token, (np.array([[left, top], [right, bottom]], np.float32),))


def line(left: float, top: float, right: float, bottom: float) -> tuple[NDArray[np.float64], ...]:
    return (np.array([[left, top], [right, bottom]], np.float64),)


def test_another_symbol_stands_on_the_baseline_at_the_size_of_the_row() -> None:
    row = [box("x", 0, 0, 2, 2), box("x", 3, 0, 5, 2), box("-", 6, 1, 7, 1)]
    (first, *_) = ways(row)
    assert rewrite(first, "p", line(0, -1.0, 1.5, 0.5), EXTENTS)
    assert row[0].token == "p"
    assert row[0].box() == pytest.approx((0, 0, 3, 3))  # scale 2, baseline at y = 2
    assert row[1].box() == pytest.approx((4, 0, 6, 2))  # one unit further right, as the gap was
    assert row[2].box() == pytest.approx((7, 1, 8, 1))


def test_scripts_come_along() -> None:
    base = box("x", 0, 0, 2, 2)
    base.rows = [(Relation.SUP, [box("x", 2, -1, 3, 0)])]
    row = [base, box("x", 4, 0, 6, 2)]
    assert rewrite(next(ways(row)), "x", line(0, -1, 3, 0), EXTENTS)
    assert base.rows[0][1][0].box() == pytest.approx((6, -1, 7, 0))
    assert row[1].box() == pytest.approx((8, 0, 10, 2))


def test_without_measure_nothing_changes() -> None:
    row = [box("-", 0, 0, 2, 0)]
    assert not rewrite(next(ways(row)), "+", line(0, -1, 1, 0), EXTENTS)
    assert row[0].token == "-"
    assert row[0].box() == (0, 0, 2, 0)


def test_bars_and_brackets_keep_their_size() -> None:
    bar = box(r"\frac", 1, 4.9, 6, 5.1)
    assert rewrite(next(ways([bar])), r"\frac", line(0, -0.5, 2, -0.3), EXTENTS)
    left, top, right, bottom = bar.box()
    assert (left, right) == pytest.approx((1, 6))
    assert (top + bottom) / 2 == pytest.approx(5)
    fence = box("(", 0, 0, 0.5, 3)
    assert rewrite(next(ways([fence])), "(", line(0, -2, 1, 1), EXTENTS)
    assert fence.box() == pytest.approx((0, 0, 0.5, 3))
    assert not rewrite(next(ways([fence])), "[", line(0, -2, 1, 1), EXTENTS)


def test_radicals_fit_where_the_old_one_was() -> None:
    hook = np.array([[0, 1.2], [0.3, 2], [0.8, 0], [1.5, 0], [4.0, 0]])
    sign = Part(r"\sqrt", (hook.astype(np.float32),), [(Relation.INSIDE, [box("x", 1, 1, 3, 2)])])
    taller = (hook * [0.5, 2.0],)
    assert rewrite(next(ways([sign])), r"\sqrt", taller, EXTENTS)
    _, top, right, bottom = sign.box()
    assert right == pytest.approx(4.0, abs=1e-4)
    assert (top, bottom) == pytest.approx((0.0, 2.0), abs=1e-4)
    scribble = (np.array([[0.0, 0.0], [1.0, 1.0]]),)
    assert not rewrite(next(ways([sign])), r"\sqrt", scribble, EXTENTS)


def test_ways_lead_to_every_symbol() -> None:
    row = [
        Part("a", (), [(Relation.SUP, [Part("b")])]),
        Part("", (), [(Relation.INSIDE, [Part("c")])]),
    ]
    assert [way[-1].row[way[-1].index].token for way in ways(row)] == ["a", "b", "c"]


@pytest.fixture(scope="module")
def groups(small_dataset: Path) -> Groups:
    material = Material.of(load_expressions(small_dataset / "train.parquet"))
    extents = font_extents(sorted({t for tokens in material.tokens for t in tokens}))
    return Groups(material, extents)


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
