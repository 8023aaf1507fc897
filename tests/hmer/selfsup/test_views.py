"""Two views of one expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hmer.data.buckets import PlannedBatch
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.schema import encode_png
from hmer.ink.augment import AugmentConfig
from hmer.ink.codec import pack
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink
from hmer.selfsup import views
from hmer.selfsup.attend import ImageMaker
from hmer.selfsup.views import ViewMaker

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
    maker = ViewMaker(expressions, RENDER, NO_CHANGE, (1.0, 1.0), 0.0, 500)
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
        assert valid.sum() == len(points)
        first, second = (batch.points[view].numpy()[valid] for view in (row, row + 6))
        assert np.array_equal(first, second)
        assert sorted(first.tolist()) == sorted(points.tolist())


def test_points_lie_on_ink_in_both_views(small_dataset: Path) -> None:
    maker = ViewMaker(written(small_dataset), RENDER, AugmentConfig(), (0.7, 1.4), 0.3, 40)
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
    maker = ViewMaker(of_inks(dots(8)), RENDER, gentle, (0.8, 1.25), 0.0, 8)
    for seed in range(5):
        batch = maker(plan(1), np.random.default_rng(seed))
        first, second = (points[:, 0].argsort() for points in batch.points)
        assert batch.valid.all()
        # Eight dots from left to right: the same order of points in either view.
        assert first.tolist() == second.tolist()
        assert not np.allclose(batch.points[0], batch.points[1])


def test_lost_strokes_are_not_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "drop_strokes", lambda *_: (1, 2, 4))
    maker = ViewMaker(of_inks(dots(5)), RENDER, NO_CHANGE, (1.0, 1.0), 0.5, 8)
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
        maker = ViewMaker(of_inks(*[dots(20)] * 4), RENDER, NO_CHANGE, (1.0, 1.0), rate, 20)
        kept.append(float(maker(plan(4), np.random.default_rng(0)).valid.float().mean()))
    assert kept[0] == 1.0
    assert 0.3 < kept[1] < 0.7
    assert 0.05 <= kept[2] < 0.1


def test_no_more_points_than_wanted_and_not_always_the_same() -> None:
    maker = ViewMaker(of_inks(dots(20)), RENDER, NO_CHANGE, (1.0, 1.0), 0.0, 3)
    chosen = set()
    for seed in range(5):
        batch = maker(plan(1), np.random.default_rng(seed))
        assert batch.valid.tolist() == [[True] * 3]
        chosen.add(tuple(batch.points[0, :, 0].tolist()))
    assert len(chosen) > 1


def test_images_alone() -> None:
    image = np.zeros((30, 50), np.uint8)
    image[10:13, 5:45] = 255
    image[5:25, 30:33] = 255
    expressions = Expressions(["a"], Untouchable([["x"]]), [encode_png(image)], [None],
                              np.array([[30, 50]]))  # fmt: skip
    maker = ViewMaker(expressions, RENDER, AugmentConfig(), (0.5, 0.5), 0.5, 1000)
    batch = maker(plan(1, 40, 64), np.random.default_rng(0))
    first, second = (points[batch.valid[0]].numpy() for points in batch.points)
    inked = sorted((x + 0.5, y + 0.5) for y, x in np.argwhere(image).tolist())
    assert sorted(map(tuple, first.tolist())) == inked
    assert np.array_equal(second, first / 2)
    assert (under(batch.images[0], first) == 1.0).all()
    assert (under(batch.images[1], second) > 0.2).all()
    assert not batch.images[1, :, 15:].any()
    assert not batch.images[1, :, :, 25:].any()


def test_the_generator_decides(small_dataset: Path) -> None:
    maker = ViewMaker(written(small_dataset), RENDER, AugmentConfig(), (0.8, 1.2), 0.1, 5)
    one, same, other = (maker(plan(2), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.images, same.images)
    assert np.array_equal(one.points, same.points)
    assert not np.array_equal(one.images, other.images)


def test_the_images_of_phase_two_need_no_labels_either(small_dataset: Path) -> None:
    maker = ImageMaker(written(small_dataset), RENDER, AugmentConfig())
    images = maker(plan(3), np.random.default_rng(0))
    assert images.shape == (3, 1, 256, 1024)
    assert (images.amax(dim=(1, 2, 3)) > 0.9).all()
