from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import load_expressions
from hmer.latex.tree import Relation
from hmer.synthesis.structure.faults import faults
from hmer.synthesis.structure.parts import Part, parts_of


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
