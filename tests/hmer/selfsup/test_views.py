"""Two views of one expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hmer.data.batches import PlannedBatch
from hmer.data.dataset import Expressions, load_expressions
from hmer.ink.augment import AugmentConfig
from hmer.ink.codec import pack
from hmer.ink.images import encode_png
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink
from hmer.selfsup import views
from hmer.selfsup.views import ImageMaker, ViewMaker

NO_CHANGE = AugmentConfig(
    scale=1, aspect=1, rotation=0, shear=0, stroke_shift=0, stroke_scale=0, stroke_rotation=0,
    elastic=0, pen=1,
)  # fmt: skip
RENDER = RenderConfig(unit=20, pen=0.1, margin=0.5)
Pixels = NDArray[np.float32]


class Untouchable(list[list[str]]):
    """Labels that nobody may read."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("a label was read")

    def __iter__(self) -> Any:
        raise AssertionError("a label was read")


def of_inks(*inks: Ink) -> Expressions:
    count = len(inks)
    names = [str(n) for n in range(count)]
    sizes = np.full((count, 2), 40, dtype=np.int64)
    return Expressions(names, Untouchable([["x"]] * count), [b""] * count, list(map(pack, inks)),
                       sizes)  # fmt: skip


def plan(count: int, height: int = 256, width: int = 1024) -> PlannedBatch:
    return PlannedBatch(np.arange(count), np.ones(count), height, width)


def written(dataset: Path) -> Expressions:
    found = load_expressions(dataset / "train.parquet")
    return Expressions(found.ids, Untouchable(found.tokens), found.images, found.inks, found.sizes)


def under(image: Any, points: Pixels) -> Pixels:
    """Values of the pixels in which the points lie."""
    columns, rows = np.floor(points.T).astype(int)
    return np.asarray(image[0].numpy()[rows, columns])


def test_unchanged_ink_lies_where_the_renderer_puts_it(small_dataset: Path) -> None:
    expressions = written(small_dataset)
    maker = ViewMaker(expressions, RENDER, NO_CHANGE, (1.0, 1.0), 500, 1, drop_rate=0.0)
    batch = maker(plan(6), np.random.default_rng(0))
    assert batch.images.shape == (12, 1, 256, 1024)
    for row in range(6):
        ink = expressions.ink(row)
        assert ink is not None
        drawing = render(ink, RENDER.unit, RENDER.pen, RENDER.margin)
        height, width = drawing.image.shape
        for view in (row, row + 6):
            shown = np.round(batch.images[view, 0].numpy() * 255)
            assert np.array_equal(shown[:height, :width], drawing.image)
            assert not shown[height:].any()
            assert not shown[:, width:].any()
        points = drawing.to_pixels(np.concatenate(ink.strokes))
        valid = batch.valid[row].numpy()
        first, second = (batch.points[view].numpy()[valid] for view in (row, row + 6))
        assert np.array_equal(first, second)
        # One point for each pixel in which there is any.
        pixels = sorted(map(tuple, np.floor(first).astype(int).tolist()))
        assert pixels == sorted(set(map(tuple, np.floor(points).astype(int).tolist())))
        assert set(map(tuple, first.tolist())) <= set(map(tuple, points.tolist()))


def test_points_lie_on_ink_in_both_views(small_dataset: Path) -> None:
    maker = ViewMaker(
        written(small_dataset), RENDER, AugmentConfig(), (0.7, 1.4), 40, 1, drop_rate=0.3
    )
    batch = maker(plan(10), np.random.default_rng(1))
    assert not np.array_equal(batch.images[:10], batch.images[10:])
    assert batch.valid.any(dim=1).all()
    for row in range(10):
        valid = batch.valid[row].numpy()
        for view in (row, row + 10):
            assert (under(batch.images[view], batch.points[view].numpy()[valid]) > 0.1).all()


def dots(count: int) -> Ink:
    """Dots in a line, three units apart: each point is known by its place."""
    return Ink(tuple(np.array([[3.0 * n, 0.0]], np.float32) for n in range(count)))


def test_a_point_is_the_same_piece_of_ink_in_both_views() -> None:
    gentle = AugmentConfig(
        scale=1, aspect=1, rotation=3, shear=0.1, stroke_shift=0.1, elastic=0.1, pen=1.3
    )
    maker = ViewMaker(of_inks(dots(8)), RENDER, gentle, (0.8, 1.25), 8, 1, drop_rate=0.0)
    for seed in range(5):
        batch = maker(plan(1), np.random.default_rng(seed))
        first, second = (points[:, 0].argsort() for points in batch.points)
        assert batch.valid.all()
        # Eight dots from left to right: the same order of points in either view.
        assert first.tolist() == second.tolist()
        assert not np.allclose(batch.points[0], batch.points[1])


def test_lost_strokes_are_not_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "drop_strokes", lambda *_: (1, 2, 4))
    maker = ViewMaker(of_inks(dots(5)), RENDER, NO_CHANGE, (1.0, 1.0), 8, 1, drop_rate=0.5)
    batch = maker(plan(1), np.random.default_rng(0))
    valid = batch.valid[0].numpy()
    pairs = sorted(zip(*(p.numpy()[valid, 0].tolist() for p in batch.points), strict=True))
    # Dot n is at 3 n units = 60 n pixels; the second view begins with dot 1.
    assert pairs == [(70.0, 10.0), (130.0, 70.0), (250.0, 190.0)]
    assert batch.images[1].max() > 0.5
    assert not batch.images[1, 0, :, 120:180].any()


def test_the_rate_decides_how_many_strokes_are_lost() -> None:
    kept = []
    for rate in (0.0, 0.5, 0.99):
        maker = ViewMaker(
            of_inks(*[dots(20)] * 4), RENDER, NO_CHANGE, (1.0, 1.0), 20, 1, drop_rate=rate
        )
        kept.append(float(maker(plan(4), np.random.default_rng(0)).valid.float().mean()))
    assert kept[0] == 1.0
    assert 0.3 < kept[1] < 0.7
    assert 0.05 <= kept[2] < 0.1


def test_no_more_points_than_wanted_and_not_always_the_same() -> None:
    maker = ViewMaker(of_inks(dots(20)), RENDER, NO_CHANGE, (1.0, 1.0), 3, 1, drop_rate=0.0)
    chosen = set()
    for seed in range(5):
        batch = maker(plan(1), np.random.default_rng(seed))
        assert batch.valid.tolist() == [[True] * 3]
        chosen.add(tuple(batch.points[0, :, 0].tolist()))
    assert len(chosen) > 1


def of_image(image: NDArray[np.uint8]) -> Expressions:
    labels = Untouchable([["x"]])
    return Expressions(["a"], labels, [encode_png(image)], [None], np.array([image.shape]))


def cross() -> NDArray[np.uint8]:
    """A long bar and a short one across it."""
    image = np.zeros((30, 50), np.uint8)
    image[10:13, 5:45] = 255
    image[5:25, 30:33] = 255
    return image


def test_images_alone() -> None:
    image = cross()
    maker = ViewMaker(of_image(image), RENDER, NO_CHANGE, (0.5, 0.5), 1000, 1)
    batch = maker(plan(1, 40, 64), np.random.default_rng(0))
    first, second = (points[batch.valid[0]].numpy() for points in batch.points)
    inked = {(x + 0.5, y + 0.5) for y, x in np.argwhere(image).tolist()}
    assert set(map(tuple, first.tolist())) <= inked
    assert np.array_equal(second, first / 2)
    # The smaller view has a pixel for four: as many points as that one can tell apart.
    assert len(second) == len({(x // 2, y // 2) for y, x in np.argwhere(image).tolist()})
    assert (under(batch.images[0], first) == 1.0).all()
    assert (under(batch.images[1], second) > 0.2).all()
    assert not batch.images[1, :, 15:].any()
    assert not batch.images[1, :, :, 25:].any()


@pytest.mark.parametrize("seed", range(6))
def test_views_of_images_differ_and_points_stay_on_ink(seed: int) -> None:
    maker = ViewMaker(of_image(cross()), RENDER, AugmentConfig(), (0.8, 1.25), 60, 2)
    batch = maker(plan(1, 64, 96), np.random.default_rng(seed))
    assert not torch.equal(batch.images[0], batch.images[1])
    assert int(batch.valid.sum()) > 20
    for view in (0, 1):
        assert (under(batch.images[view], batch.points[view][batch.valid[0]].numpy()) > 0.1).all()


def test_a_point_of_an_image_is_the_same_piece_of_ink_in_both_views() -> None:
    """Dots in a line with growing gaps: the gaps tell which dots are seen."""
    image = np.zeros((9, 160), np.uint8)
    image[4, [8, 16, 26, 39, 56, 78, 107, 145]] = 255
    gentle = AugmentConfig(scale=1, aspect=1.05, rotation=4, shear=0.1, pen=1)
    maker = ViewMaker(of_image(image), RENDER, gentle, (1.0, 1.0), 20, 1, crop=0.3)
    seen = []
    for seed in range(10):
        batch = maker(plan(1, 80, 200), np.random.default_rng(seed))
        first, second = batch.points.numpy()[:, batch.valid[0].numpy()]
        order = first[:, 0].argsort()
        assert (np.diff(second[order, 0]) > 0).all()
        here, there = (np.hypot(*np.diff(p[order], axis=0).T) for p in (first, second))
        np.testing.assert_allclose(here, there, rtol=0.08)
        for view, points in enumerate((first, second)):
            assert (under(batch.images[view], points) > 0.2).all()
        seen.append(len(first))
    assert min(seen) < 8  # the second view has lost an end
    assert max(seen) >= 6


def test_a_crop_never_takes_all_the_ink() -> None:
    image = np.zeros((20, 100), np.uint8)
    image[8:12, 2:6] = 255
    maker = ViewMaker(of_image(image), RENDER, NO_CHANGE, (1.0, 1.0), 8, 1, crop=0.9)
    widths = set()
    for seed in range(20):
        batch = maker(plan(1, 32, 128), np.random.default_rng(seed))
        assert batch.valid.any()
        assert batch.images[1].any()
        widths.add(tuple(batch.points[1, batch.valid[0]].amax(dim=0).tolist()))
    assert len(widths) > 1


def test_a_blank_image_has_nothing_to_match() -> None:
    maker = ViewMaker(of_image(np.zeros((30, 50), np.uint8)), RENDER, AugmentConfig(), (0.8, 1.2),
                      16, 8, crop=0.5)  # fmt: skip
    batch = maker(plan(1, 64, 96), np.random.default_rng(0))
    assert not batch.images.any()
    assert not batch.valid.any()


def test_points_of_one_cell_are_told_apart_by_nobody(small_dataset: Path) -> None:
    maker = ViewMaker(written(small_dataset), RENDER, AugmentConfig(), (0.8, 1.2), 40, 8)
    batch = maker(plan(6), np.random.default_rng(0))
    assert (batch.valid.sum(dim=1) >= 2).all()
    for row in range(6):
        for view in (row, row + 6):
            cells = (batch.points[view][batch.valid[row]] // 8).long()
            assert len(torch.unique(cells, dim=0)) == len(cells)


def test_repeats_are_not_fresh(small_dataset: Path) -> None:
    maker = ViewMaker(written(small_dataset), RENDER, AugmentConfig(), (1.0, 1.0), 4, 8)
    planned = PlannedBatch(np.array([5, 2, 5]), np.ones(3), 128, 512)
    batch = maker(planned, np.random.default_rng(0))
    assert batch.fresh.tolist() == [True, True, False]
    assert not batch.valid[2].any()


def test_the_generator_decides(small_dataset: Path) -> None:
    maker = ViewMaker(
        written(small_dataset), RENDER, AugmentConfig(), (0.8, 1.2), 5, 1, drop_rate=0.1
    )
    one, same, other = (maker(plan(2), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.images, same.images)
    assert np.array_equal(one.points, same.points)
    assert not np.array_equal(one.images, other.images)


def test_the_images_of_phase_two_need_no_labels_either(small_dataset: Path) -> None:
    maker = ImageMaker(written(small_dataset), RENDER, AugmentConfig())
    images = maker(plan(3), np.random.default_rng(0))
    assert images.shape == (3, 1, 256, 1024)
    assert (images.amax(dim=(1, 2, 3)) > 0.9).all()
