"""Drawing an expression onto its canvas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hmer.data.dataset import load_expressions
from hmer.data.drawing import (
    Drawn,
    distort,
    draw,
    draw_image,
    draw_ink,
    draw_picture,
    drawn_at,
    ink_points,
    other_pen,
    pen_width,
    split_scale,
)
from hmer.errors import HmerError
from hmer.ingest.summary import stored_render
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

RENDER = RenderConfig(unit=20, pen=0.1, margin=0.25)


def scribble(seed: int, width: float, height: float) -> Ink:
    rng = np.random.default_rng(seed)
    size = np.array([width, height])
    return Ink(tuple((rng.random((6, 2)) * size).astype(np.float32) for _ in range(3)))


def test_as_the_renderer_draws_it_where_there_is_room() -> None:
    ink = scribble(0, 4, 2)
    drawn = draw_ink(ink, RENDER, 1.0, 200, 300)
    wanted = render(ink, 20, 0.1, 0.25)
    assert np.array_equal(drawn.image, wanted.image)
    assert np.array_equal(drawn.points, wanted.to_pixels(np.concatenate(ink.strokes)))


@given(
    seed=st.integers(0, 99),
    width=st.floats(0, 30),
    height=st.floats(0, 8),
    scale=st.floats(0.5, 5),
    canvas=st.tuples(st.integers(32, 96), st.integers(64, 320)),
)
def test_fits_and_points_lie_on_ink(
    seed: int, width: float, height: float, scale: float, canvas: tuple[int, int]
) -> None:
    ink = scribble(seed, width, height)
    drawn = draw_ink(ink, RENDER.model_copy(update={"pen": 0.3}), scale, *canvas)
    assert drawn.image.shape[0] <= canvas[0]
    assert drawn.image.shape[1] <= canvas[1]
    assert drawn.points.shape == (18, 2)
    columns, rows = np.floor(drawn.points.T).astype(int)
    assert (drawn.image[rows, columns] > 0).all()


def test_size_and_margin() -> None:
    box = Ink((np.array([[0, 0], [3, 2]], np.float32),))
    for scale in (0.5, 1.0, 2.0):
        drawn = draw_ink(box, RENDER, scale, 400, 400)
        # The ink grows; the margin of 5 pixels does not.
        wanted = np.array([[5, 5], [5 + 60 * scale, 5 + 40 * scale]])
        np.testing.assert_allclose(drawn.points, wanted, atol=1e-4)
        assert drawn.image.shape == (10 + 40 * scale, 10 + 60 * scale)
    shrunk = draw_ink(box, RENDER, 2.0, 400, 71)
    # 71 - 10 of margin - 1 for rounding leave 60 pixels for 3 units.
    np.testing.assert_allclose(shrunk.points[1], [65, 45], atol=1e-4)


def test_a_dot() -> None:
    drawn = draw_ink(Ink((np.array([[7, 7]], np.float32),)), RENDER, 1.3, 64, 64)
    assert drawn.image.max() > 0
    np.testing.assert_allclose(drawn.points, [[5, 5]], atol=1e-3)


@given(
    seed=st.integers(0, 99),
    size=st.floats(0.8, 3),
    slope=st.floats(-0.2, 0.2),
    canvas=st.tuples(st.integers(32, 96), st.integers(64, 320)),
)
def test_read_back_as_a_picture_points_lie_on_ink(
    seed: int, size: float, slope: float, canvas: tuple[int, int]
) -> None:
    ink = scribble(seed, 8, 2)
    ink = Ink(tuple(s + s[:, ::-1] * np.array([0, slope], np.float32) for s in ink.strokes))
    drawn = draw_picture(ink, RENDER, 0.15, size, *canvas)
    height, width = drawn.image.shape
    assert height <= canvas[0] and width <= canvas[1]
    near = np.array(Image.fromarray(drawn.image).filter(ImageFilter.MaxFilter(5)))
    columns, rows = np.floor(drawn.points).astype(int).clip(0, (width - 1, height - 1)).T
    assert (near[rows, columns] > 60).mean() > 0.95


def test_a_picture_tells_its_scale() -> None:
    """Ink twice as large as it should be is read at the usual size."""
    ink = Ink(tuple(2 * s for s in scribble(3, 4, 1).strokes))
    as_ink = draw_ink(ink, RENDER, 1.0, 900, 900).image.shape
    picture = draw_picture(ink, RENDER, 0.1, 1.0, 900, 900).image.shape
    assert picture[1] < 0.8 * as_ink[1]


def test_only_augmented_ink_becomes_a_picture() -> None:
    ink, rng = scribble(1, 4, 2), np.random.default_rng
    plain = draw_ink(ink, RENDER, 1.0, 200, 300).image
    assert np.array_equal(draw(ink, RENDER, None, rng(0), 1.0, 200, 300, 1.0).image, plain)
    still = AugmentConfig(
        scale=1, aspect=1, rotation=0, shear=0, stroke_shift=0, stroke_scale=0, stroke_rotation=0,
        elastic=0, pen=1,
    )  # fmt: skip
    as_ink = draw(ink, RENDER, still, rng(0), 1.0, 200, 300).image
    pictures = [draw(ink, RENDER, still, rng(n), 1.0, 200, 300, 0.3).image for n in range(200)]
    changed = sum(not np.array_equal(picture, as_ink) for picture in pictures)
    assert 40 <= changed <= 80


def test_what_no_picture_shows_is_drawn_as_ink() -> None:
    dot = Ink((np.zeros((1, 2), np.float32),))
    drawn = draw(dot, RENDER, AugmentConfig(), np.random.default_rng(0), 1.0, 64, 64, 1.0)
    assert drawn.image.any()


def test_images_are_rescaled_with_their_points() -> None:
    image = np.zeros((20, 40), np.uint8)
    image[4:8, 10:20] = 255
    image[15, 15] = 100  # too faint to be ink

    def shown(scale: float, height: int, width: int) -> Drawn:
        return draw_image(image, scale, height, width, None, np.random.default_rng(0))

    drawn = shown(1.5, 100, 100)
    assert drawn.image.shape == (30, 60)
    inked = [((x + 0.5) * 1.5, (y + 0.5) * 1.5) for y in range(4, 8) for x in range(10, 20)]
    np.testing.assert_allclose(drawn.points, inked)
    columns, rows = np.floor(drawn.points.T).astype(int)
    assert (drawn.image[rows, columns] > 60).all()
    assert shown(3.0, 100, 80).image.shape == (40, 80)
    assert shown(3.0, 30, 200).image.shape == (30, 60)
    assert shown(1e-6, 30, 200).image.shape == (1, 1)


def test_the_size_factor_is_the_plans_business() -> None:
    config = AugmentConfig(scale=1.6, shear=0.1)
    without, scales = split_scale(config)
    assert without == config.model_copy(update={"scale": 1.0})
    assert scales == pytest.approx((1 / 1.6, 1.6))


def test_other_pen() -> None:
    rng = np.random.default_rng(0)
    config = AugmentConfig(pen=2.0)
    pens = [other_pen(RENDER, config, rng) for _ in range(500)]
    widths = np.array([pen.pen for pen in pens])
    assert 0.05 <= widths.min() < 0.055
    assert 0.19 < widths.max() <= 0.2
    assert np.median(widths) == pytest.approx(0.1, abs=0.01)
    assert {(pen.unit, pen.margin) for pen in pens} == {(20, 0.25)}
    thick = RENDER.model_copy(update={"pen": 0.9})
    assert max(other_pen(thick, config, rng).pen for _ in range(50)) == 1.0
    assert other_pen(RENDER, AugmentConfig(pen=1), rng) == RENDER


def test_draw(small_dataset: Path, picture_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    rng = np.random.default_rng(0)
    ink = expressions.written(2)
    assert isinstance(ink, Ink)
    plain = draw(ink, RENDER, None, rng, 1.0, 300, 900)
    assert np.array_equal(plain.image, draw_ink(ink, RENDER, 1.0, 300, 900).image)
    moved = draw(ink, RENDER, AugmentConfig(), rng, 1.0, 300, 900)
    assert moved.points.shape == plain.points.shape
    assert not np.allclose(moved.points, plain.points, atol=1)
    pictures = load_expressions(picture_dataset / "train.parquet")
    image = pictures.written(2)
    assert not isinstance(image, Ink)
    shown = draw(image, RENDER, None, rng, 1.0, 300, 900)
    assert np.array_equal(shown.image, image) and np.array_equal(image, pictures.image(2))
    turned = draw(image, RENDER, AugmentConfig(), rng, 1.0, 300, 900)
    assert turned.points.shape == shown.points.shape
    assert not np.allclose(turned.points, shown.points, atol=1)
    columns, rows = np.floor(turned.points.T).astype(int)
    assert (turned.image[rows, columns] > 12).mean() > 0.99


STYLE = RenderConfig(unit=25, pen=0.2, margin=0.5)


def test_ink_is_drawn_at_the_wanted_scale(small_dataset: Path) -> None:
    stored = stored_render(small_dataset)
    assert stored == RenderConfig(unit=10)
    found = load_expressions(small_dataset / "val.parquet")
    assert drawn_at(found, RenderConfig(unit=10), stored) is found
    for known in (stored, None):  # ink says all that is needed
        drawn = drawn_at(found, STYLE, known)
        for index in range(len(found)):
            ink = found.ink(index)
            assert ink is not None
            wanted = render(ink, STYLE.unit, STYLE.pen, STYLE.margin).image
            assert (drawn.image(index) == wanted).all()
            assert tuple(drawn.sizes[index]) == wanted.shape
        assert (drawn.ids, drawn.tokens, drawn.inks) == (found.ids, found.tokens, found.inks)


def test_images_without_ink_are_resized_by_the_ratio_of_the_units(picture_dataset: Path) -> None:
    found = load_expressions(picture_dataset / "val.parquet")
    drawn = drawn_at(found, STYLE, RenderConfig(unit=10))
    assert np.allclose(drawn.sizes, found.sizes * 2.5, atol=0.5)
    same = drawn_at(found, STYLE, RenderConfig(unit=25))
    assert all((same.image(i) == found.image(i)).all() for i in range(len(found)))
    with pytest.raises(HmerError, match="does not say at what scale its images are; run ingest"):
        drawn_at(found, STYLE, None)


def test_a_damaged_summary_is_told(tmp_path: Path) -> None:
    assert stored_render(tmp_path) is None
    for text in ("{", "[]", '{"render": {"unit": -1}}', '{"render": {"units": 1}}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(HmerError, match=r"summary\.json: damaged"):
            stored_render(tmp_path)


NO_CHANGE = AugmentConfig(rotation=0, shear=0, aspect=1, pen=1)
Grey = NDArray[np.uint8]


def dots(seed: int) -> Grey:
    """Lone pixels, at least seven apart."""
    rng = np.random.default_rng(seed)
    image = np.zeros((50, 120), np.uint8)
    for row in range(4, 47, 8):
        for column in range(4, 117, 8):
            if rng.random() < 0.5:
                image[row, column] = 255
    image[4, 4] = 255
    return image


def line(width: int) -> Grey:
    image = np.zeros((30, 80), np.uint8)
    image[10 : 10 + width, 5:70] = 255
    return image


def test_points_are_the_middles_of_inked_pixels() -> None:
    image = np.zeros((3, 4), np.uint8)
    image[1, 2], image[2, 0], image[0, 3] = 255, 128, 127
    assert ink_points(image).tolist() == [[2.5, 1.5], [0.5, 2.5]]


def test_no_change_changes_nothing() -> None:
    image = dots(1)
    same, points = distort(image, NO_CHANGE, np.random.default_rng(0))
    assert np.array_equal(same, image)
    np.testing.assert_allclose(points, ink_points(image), atol=1e-4)


@given(
    seed=st.integers(0, 999),
    rotation=st.floats(0, 30),
    shear=st.floats(0, 0.5),
    aspect=st.floats(1, 1.5),
)
def test_points_are_where_the_ink_went(
    seed: int, rotation: float, shear: float, aspect: float
) -> None:
    config = AugmentConfig(rotation=rotation, shear=shear, aspect=aspect, pen=1)
    image = dots(seed)
    moved, points = distort(image, config, np.random.default_rng(seed))
    assert len(points) == (image > 0).sum()
    rows, columns = np.nonzero(moved)
    weight = moved[rows, columns].astype(float)
    for x, y in points:
        near = np.hypot(columns + 0.5 - x, rows + 0.5 - y) < 2.5
        assert near.any()
        centre = [np.average(a[near] + 0.5, weights=weight[near]) for a in (columns, rows)]
        assert np.hypot(centre[0] - x, centre[1] - y) < 0.5


def test_the_map_is_what_the_parameters_say() -> None:
    """The four dots of a square tell the angle and the slant."""
    image = np.zeros((60, 60), np.uint8)
    image[[10, 10, 50, 50], [10, 50, 10, 50]] = 255
    turned = [
        distort(
            image, AugmentConfig(rotation=20, shear=0, aspect=1, pen=1), np.random.default_rng(s)
        )
        for s in range(40)
    ]
    angles = []
    for _, points in turned:
        across, down = points[1] - points[0], points[2] - points[0]
        assert np.hypot(*across) == pytest.approx(40, rel=0.03)
        assert across @ down == pytest.approx(0, abs=40)
        angles.append(np.degrees(np.arctan2(across[1], across[0])))
    assert max(np.abs(angles)) <= 21
    assert min(angles) < -10
    assert max(angles) > 10
    slants = []
    for seed in range(40):
        config = AugmentConfig(rotation=0, shear=0.5, aspect=1, pen=1)
        _, points = distort(image, config, np.random.default_rng(seed))
        down = points[2] - points[0]
        assert down[1] == pytest.approx(40, abs=1)
        slants.append(down[0] / 40)
    assert max(np.abs(slants)) <= 0.52
    assert min(slants) < -0.3
    assert max(slants) > 0.3


@pytest.mark.parametrize("seed", range(5))
def test_paper_around_the_ink_stays_as_wide(seed: int) -> None:
    image = np.pad(dots(seed), ((3, 5), (7, 2)))
    config = AugmentConfig(rotation=10, shear=0.3, aspect=1.2, pen=1.2)
    moved, _ = distort(image, config, np.random.default_rng(seed))
    for before, after in zip(paper(image), paper(moved), strict=True):
        assert before == after


def paper(image: Grey) -> list[int]:
    """Blank columns and rows at the left, right, top and bottom."""
    inked = image > 12
    columns, rows = (np.asarray(inked.any(axis=axis), dtype=bool) for axis in (0, 1))
    return [int(side.argmax()) for side in (columns, columns[::-1], rows, rows[::-1])]


@pytest.mark.parametrize(("width", "factor"), [(4, 1.3), (3, 1.5), (4, 0.75), (5, 0.8), (3, 1.0)])
def test_pens(width: int, factor: float) -> None:
    image = torch.from_numpy(line(width))[None]
    found = pen_width(image, factor)
    assert found.shape == image.shape
    assert found.dtype == torch.uint8
    ratio = float(found.float().sum() / image.float().sum())
    assert ratio == pytest.approx(factor, abs=0.01)
    # By one pixel at most, and no line is lost.
    assert not found[0, :9].any()
    assert (found[0, 11 : 10 + width - 1, 8:66] > 100).all()


def test_hair_lines_stay() -> None:
    found = pen_width(torch.from_numpy(line(1))[None], 0.25)
    assert (found[0, 10, 5:70] >= 100).all()


def test_blank_paper() -> None:
    blank = np.zeros((20, 30), np.uint8)
    moved, points = distort(blank, AugmentConfig(), np.random.default_rng(0))
    assert np.array_equal(moved, blank)
    assert points.shape == (0, 2)


def test_the_generator_decides() -> None:
    image = dots(3)
    one, same, other = (
        distort(image, AugmentConfig(), np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert one[0].shape != other[0].shape or not np.array_equal(one[0], other[0])
