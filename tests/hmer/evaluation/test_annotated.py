"""Which ink belongs to which symbol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.data.batches import BatchConfig, in_batches
from hmer.data.dataset import load_expressions
from hmer.evaluation.annotated import (
    NOBODY,
    Annotated,
    annotate,
    annotate_ink,
    cell_grid,
    spread_over,
)
from hmer.ink.images import ink_mask
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink, Symbol

STYLE = RenderConfig(unit=16, pen=0.15, margin=0.25)


def stroke(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


ROOT = Ink(
    (
        stroke((0, 1), (0.5, 2), (1, 0), (4, 0)),  # a radical over
        stroke((1.5, 0.6), (2.5, 1.8)),  # an x of two strokes
        stroke((2.5, 0.6), (1.5, 1.8)),
        stroke((5, 0.2), (5.4, 0.2)),  # and a script
    ),
    (Symbol("\\sqrt", (0,), 0), Symbol("x", (1, 2), 2), Symbol("-", (3,), 6)),
)
TOKENS = ["\\sqrt", "{", "x", "}", "^", "{", "-", "}"]


def rooted() -> Annotated:
    return annotate_ink("a", TOKENS, ROOT, STYLE)


def test_ink_belongs_to_the_strokes_it_is_of() -> None:
    shown = rooted()
    ink = ink_mask(shown.image)
    assert np.array_equal(shown.owners != NOBODY, ink)
    _, x, minus = (symbol.box for symbol in shown.symbols)
    # What stands under the radical is not the radical's, though its box holds it.
    inside = shown.owners[int(x.top) + 1 : int(x.bottom), int(x.left) + 1 : int(x.right)]
    assert set(np.unique(inside)) == {NOBODY, 1}
    right = shown.owners[:, int(minus.left) - 1 :]
    assert set(np.unique(right)) == {NOBODY, 2}
    assert [int((shown.owners == n).sum()) > 0 for n in range(3)] == [True] * 3


def test_scripts_are_told_by_the_caption() -> None:
    assert [symbol.script for symbol in rooted().symbols] == [False, False, True]
    broken = annotate_ink("a", ["{", "x"], ROOT, STYLE)
    assert not any(symbol.script for symbol in broken.symbols)


def test_cells_have_the_symbol_with_the_most_ink() -> None:
    shown = rooted()
    counts = shown.cell_ink(8)
    assert counts.shape == (3, *cell_grid(shown.image, 8))
    assert counts.sum() == ink_mask(shown.image).sum()
    cells = shown.cells(8)
    for row, column in np.ndindex(*cells.shape):
        block = shown.owners[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        numbers = [int((block == n).sum()) for n in range(3)]
        assert numbers == counts[:, row, column].tolist()
        expected = int(np.argmax(numbers)) if any(numbers) else NOBODY
        assert cells[row, column] == expected


def test_spread_over() -> None:
    assert spread_over(3, 5) == [0, 1, 2]
    assert spread_over(10, 5) == [0, 2, 4, 6, 8]
    assert spread_over(10, 0) == spread_over(0, 4) == []
    assert len(set(spread_over(488, 60))) == 60


def test_annotate_takes_pictures_too(small_dataset: Path, picture_dataset: Path) -> None:
    style = RenderConfig(unit=10)
    inked = annotate(load_expressions(small_dataset / "val.parquet"), [0, 3], style)
    bare = annotate(load_expressions(picture_dataset / "val.parquet"), [0, 3], style)
    for one, other in zip(inked, bare, strict=True):
        assert (one.id, one.image.shape) == (other.id, other.image.shape)
        assert one.symbols
        assert not other.symbols
        assert (other.owners == NOBODY).all()
        assert (other.cells(8) == NOBODY).all()


def test_batches_hold_every_picture_once() -> None:
    images = [np.full((8 + 8 * n, 20), 255, np.uint8) for n in range(5)]
    seen = []
    for numbers, batch in in_batches(images, 8, BatchConfig(max_count=2, buckets=2)):
        assert len(batch) == len(numbers)
        assert batch.shape[2] % 8 == batch.shape[3] % 8 == 0
        seen += numbers
        for number, picture in zip(numbers, batch, strict=True):
            assert float(picture.sum()) == pytest.approx(images[number].size)
    assert sorted(seen) == list(range(5))
