"""Hidden strokes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from hmer.data.dataset import load_expressions
from hmer.ink.render import render
from hmer.masking.strokes import hide_strokes, stroke_map

Points = NDArray[np.float32]


def nearest(strokes: list[Points], x: float, y: float) -> tuple[float, list[int]]:
    """Distance of a place to the nearest path, and the strokes (from 1) within 1.5 pixels more."""
    distances = []
    for stroke in strokes:
        best = float(np.hypot(*(stroke - (x, y)).T).min())
        for a, b in itertools.pairwise(stroke.astype(np.float64)):
            step = b - a
            t = np.clip((np.array([x, y]) - a) @ step / max(step @ step, 1e-9), 0, 1)
            best = min(best, float(np.hypot(*(a + t * step - (x, y)))))
        distances.append(best)
    least = min(distances)
    return least, [k + 1 for k, d in enumerate(distances) if d <= least + 1.5]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), pen=st.floats(0.5, 5))
def test_pixels_belong_to_the_nearest_stroke(seed: int, count: int, pen: float) -> None:
    rng = np.random.default_rng(seed)
    strokes = [
        (rng.random((rng.integers(1, 5), 2)) * (40, 24)).astype(np.float32) for _ in range(count)
    ]
    found = stroke_map(strokes, pen, 24, 40)
    assert found.shape == (24, 40)
    assert found.dtype == np.int16
    for row, column in itertools.product(range(24), range(40)):
        distance, candidates = nearest(strokes, column + 0.5, row + 0.5)
        if distance < pen / 2 + 0.5:  # the renderer inks it
            assert found[row, column] in candidates
        if distance > pen / 2 + 6:
            assert found[row, column] == 0


def test_all_rendered_ink_has_a_stroke(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    for index in range(8):
        ink = expressions.ink(index)
        assert ink is not None
        drawing = render(ink, 14, 0.17, 0.3)
        points = [drawing.to_pixels(stroke) for stroke in ink.strokes]
        found = stroke_map(points, drawing.pen, *drawing.image.shape)
        assert not (drawing.image[found == 0]).any()
        assert set(np.unique(found)) == set(range(len(ink.strokes) + 1))


def test_no_strokes_and_strokes_outside() -> None:
    assert not stroke_map([], 2.0, 4, 5).any()
    assert not stroke_map([np.full((2, 2), 99, np.float32)], 2.0, 4, 5).any()


def bars(count: int) -> tuple[Tensor, Tensor]:
    """Upright bars of height 1 to `count`: images and stroke map, (2, ...)."""
    images = torch.zeros(2, 1, 20, 8 * count)
    strokes = torch.zeros(2, 20, 8 * count, dtype=torch.int16)
    for k in range(count):
        images[:, 0, 2 : 3 + k, 8 * k + 4] = 1.0
        strokes[:, :, 8 * k + 2 : 8 * k + 7] = k + 1
    return images, strokes


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), count=st.integers(1, 6))
def test_as_many_whole_strokes_as_needed(seed: int, share: float, count: int) -> None:
    images, strokes = bars(count)
    torch.manual_seed(seed)
    masked, hidden = hide_strokes(images, strokes, share, 3)
    assert torch.equal(masked, images.masked_fill(hidden, 0.0))
    total = count * (count + 1) // 2
    for b in range(2):
        gone = [k + 1 for k in range(count) if not masked[b, 0, :, 8 * k + 4].any()]
        for k in range(count):  # whole or not at all
            assert masked[b, 0, :, 8 * k + 4].sum() in (0, k + 1)
            assert bool(hidden[b, 0][strokes[b] == k + 1].all()) == (k + 1 in gone)
        assert not hidden[b, 0][strokes[b] == 0].any()
        assert len(gone) < count
        enough = share * total - 1e-4
        assert sum(gone) >= enough or len(gone) == count - 1
        # None of them too many: without the last one it would not be enough.
        assert not gone or any(sum(gone) - k < share * total + 1e-4 for k in gone)


def test_an_expression_of_one_stroke_is_shown_whole() -> None:
    images, strokes = bars(1)
    masked, hidden = hide_strokes(images, strokes, 0.9, 3)
    assert torch.equal(masked, images)
    assert not hidden.any()


def test_images_without_strokes_lose_blocks() -> None:
    images, strokes = bars(5)
    strokes[1] = 0
    torch.manual_seed(0)
    masked, hidden = hide_strokes(images, strokes, 0.5, 2)
    left = masked[1].sum() / images[1].sum()
    assert 0.2 < left <= 0.5
    # Somewhere a bar was cut, which strokes never are.
    parts = {float(masked[1, 0, :, 8 * k + 4].sum()) / (k + 1) for k in range(5)}
    assert any(0 < part < 1 for part in parts)
    assert all(float(masked[0, 0, :, 8 * k + 4].sum()) in (0.0, k + 1.0) for k in range(5))
    assert hidden.any(dim=-1).any()
    blank, nothing = hide_strokes(torch.zeros(2, 1, 20, 40), strokes * 0, 0.5, 2)
    assert not blank.any()
    assert not nothing.any()


def test_every_stroke_has_its_turn() -> None:
    images, strokes = bars(4)
    gone = torch.zeros(4)
    for seed in range(60):
        torch.manual_seed(seed)
        masked, _ = hide_strokes(images, strokes, 0.05, 3)
        gone += torch.tensor([float(not masked[0, 0, :, 8 * k + 4].any()) for k in range(4)])
    assert (gone >= 5).all()
    assert gone.sum() == 60


def test_refuses() -> None:
    with pytest.raises(ValueError, match="share"):
        hide_strokes(*bars(2), 1.5, 3)
