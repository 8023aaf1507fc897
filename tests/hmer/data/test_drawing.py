"""Drawing an expression onto its canvas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.data.dataset import load_expressions
from hmer.data.drawing import draw, draw_image, draw_ink, drawn_at, other_pen, split_scale
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
    assert drawn.pen == wanted.pen == 2.0


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


def test_images_are_rescaled_with_their_points() -> None:
    image = np.zeros((20, 40), np.uint8)
    image[4:8, 10:20] = 255
    image[15, 15] = 100  # too faint to be ink
    drawn = draw_image(image, 1.5, 100, 100)
    assert drawn.image.shape == (30, 60)
    inked = [((x + 0.5) * 1.5, (y + 0.5) * 1.5) for y in range(4, 8) for x in range(10, 20)]
    np.testing.assert_allclose(drawn.points, inked)
    columns, rows = np.floor(drawn.points.T).astype(int)
    assert (drawn.image[rows, columns] > 60).all()
    assert draw_image(image, 3.0, 100, 80).image.shape == (40, 80)
    assert draw_image(image, 3.0, 30, 200).image.shape == (30, 60)
    assert draw_image(image, 1e-6, 30, 200).image.shape == (1, 1)


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
    plain, ink = draw(expressions, 2, RENDER, None, rng, 1.0, 300, 900)
    assert ink is not None
    assert np.array_equal(plain.image, draw_ink(ink, RENDER, 1.0, 300, 900).image)
    moved, same = draw(expressions, 2, RENDER, AugmentConfig(), rng, 1.0, 300, 900)
    assert same is not None
    assert all(np.array_equal(a, b) for a, b in zip(ink.strokes, same.strokes, strict=True))
    assert moved.points.shape == plain.points.shape
    assert not np.allclose(moved.points, plain.points, atol=1)
    pictures = load_expressions(picture_dataset / "train.parquet")
    shown, nothing = draw(pictures, 2, RENDER, None, rng, 1.0, 300, 900)
    assert nothing is None
    assert np.array_equal(shown.image, pictures.image(2))
    turned, nothing = draw(pictures, 2, RENDER, AugmentConfig(), rng, 1.0, 300, 900)
    assert nothing is None
    assert turned.points.shape == shown.points.shape
    assert not np.allclose(turned.points, shown.points, atol=1)
    columns, rows = np.floor(turned.points.T).astype(int)
    assert (turned.image[rows, columns] > 12).mean() > 0.99


def test_an_augmentation_of_an_image_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="random generator"):
        draw_image(np.zeros((9, 9), np.uint8), 1.0, 20, 20, AugmentConfig())


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
