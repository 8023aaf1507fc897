"""Implicit targets and their weights, by hand."""

from __future__ import annotations

import pytest
import torch

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.common.grid import blank_weights, tag_table
from hmer.models.hmer_mtl import MTL_KEPT
from hmer.models.ical import ICAL_KEPT

WORDS = Vocabulary("toy", ["a", "b", "^", "{", "}"])  # numbers 3 to 7
BLANK = 8


def test_everything_but_structure_becomes_blank() -> None:
    table = tag_table(WORDS, ICAL_KEPT)
    assert table.tolist() == [0, 1, 2, BLANK, BLANK, 5, 6, 7]
    both = torch.tensor([[3, 5, 6, 4, 7, 2, 0], [7, 4, 6, 5, 3, 1, 0]])
    assert table[both].tolist() == [[8, 5, 6, 8, 7, 2, 0], [7, 8, 6, 5, 8, 1, 0]]


@pytest.mark.parametrize(("kept", "count"), [(ICAL_KEPT, 4), (MTL_KEPT, 17)])
def test_the_field_s_lists(kept: frozenset[str], count: int) -> None:
    words = vocabulary("comer")
    table = tag_table(words, kept)
    assert int((table < len(words)).sum()) == 3 + count
    assert int((table == 113).sum()) == 110 - count


@pytest.mark.parametrize(("blanks", "weight"), [(5, 2.10), (8, 2.79), (0, 1.69), (10, 10.0)])
def test_weights(blanks: int, weight: float) -> None:
    # Padding counts among the places: 10 in all.
    tags = torch.tensor([([4] * blanks + [1, 3] + [0] * 8)[:10]])
    found = blank_weights(tags, 5).tolist()
    assert found[4] == 1.0
    assert found[:4] == pytest.approx([weight] * 4, abs=0.005)
