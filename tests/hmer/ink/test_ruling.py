"""Printed lines go, written ones stay."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hmer.ink.picture import BlankError, load_picture
from hmer.ink.render import render
from hmer.ink.strokes import Ink, Points

UNIT = 40


def stroke(*places: tuple[float, float]) -> Points:
    return np.array(places, np.float32)


def ring(x: float, y: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 40)
    return np.stack([x + 0.5 * np.cos(angle), y + 0.5 * np.sin(angle)], 1).astype(np.float32)


FRACTION = (*(ring(1.4 * n, 0) for n in range(4)), stroke((-0.7, 1), (4.9, 1.05)),
            *(ring(1.4 * n + 0.7, 2) for n in range(3)))  # fmt: skip
WRITTEN = render(Ink(FRACTION), UNIT, pen=0.12, margin=2.0).image


def paper(
    spacing: int, level: int, *, squared: bool, width: int = 2, angle: float = 0,
    dark: bool = False, margins: Iterable[int] = (), written: NDArray[np.uint8] = WRITTEN,
) -> Image.Image:  # fmt: skip
    """The fraction on paper with lines of this grey level, all turned by `angle` degrees."""
    lines: NDArray[np.bool_] = np.zeros(written.shape, bool)
    lines[np.arange(len(lines)) % spacing < width] = True
    if squared:
        lines[:, np.arange(lines.shape[1]) % spacing < width] = True
    share = written / 255
    grey = np.minimum(np.where(lines, level, 240), 240 - 200 * share)
    for place in margins:
        grey[:, place : place + 4] = np.minimum(grey[:, place : place + 4], 80)
    grey += np.random.default_rng(0).normal(0, 2, grey.shape)
    page = Image.fromarray(np.uint8(np.clip(255 - grey if dark else grey, 0, 255)))
    turned = page.rotate(angle, Image.Resampling.BICUBIC, fillcolor=15 if dark else 240)
    edge = round(abs(np.sin(np.deg2rad(angle))) * max(page.size) / 2) + 1
    return turned.crop((edge, edge, page.width - edge, page.height - edge))


def overlap(found: np.ndarray, angle: float) -> float:
    """Share of ink pixels in common with the fraction written on blank paper (best of shifts)."""
    whole = Image.fromarray(WRITTEN).rotate(angle, Image.Resampling.BICUBIC)
    true = np.asarray(whole.crop(whole.point(lambda level: 255 * (level > 127)).getbbox()))
    size = np.maximum(found.shape, true.shape) + 8
    one, other = (np.pad(i > 127, [(4, s - n) for s, n in zip(size, i.shape, strict=True)])
                  for i in (found, true))  # fmt: skip
    return max(
        float((np.roll(one, (r, c), (0, 1)) & other).sum() / (one | other).sum())
        for r in range(-4, 5)
        for c in range(-4, 5)
    )


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("level", [205, 150, 40])
@pytest.mark.parametrize("angle", [0, 1.5, -3])
def test_lines_of_the_paper_go(squared: bool, level: int, angle: float) -> None:
    found = load_picture(paper(37, level, squared=squared, angle=angle))
    assert overlap(found, angle) > 0.75


@pytest.mark.parametrize("margins", [[30], [-40], [20, 32]])
@pytest.mark.parametrize("angle", [0, -1])
def test_the_margin_of_ruled_paper_goes(margins: list[int], angle: float) -> None:
    """Nearly as dark and wide as the writing."""
    found = load_picture(paper(37, 150, squared=False, angle=angle, margins=margins))
    assert overlap(found, angle) > 0.75


@pytest.mark.parametrize(("level", "squared"), [(240, False), (150, False), (225, True)])
@pytest.mark.parametrize("angle", [-7, -2, 0, 5])
def test_the_margin_of_a_page_on_a_desk_goes(level: int, squared: bool, angle: float) -> None:
    """Lines end where the page does."""
    page = paper(37, level, squared=squared, margins=[30])
    turned = page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=50)
    found = load_picture(Image.fromarray(np.pad(np.array(turned), 50, constant_values=50)))
    assert overlap(found, angle) > 0.75


@pytest.mark.parametrize(("margins", "angle"), [([41], 0), ([45], 1), ([50], 0), ([58], 1)])
def test_the_margin_of_squared_paper_goes_wherever_it_is(margins: list[int], angle: float) -> None:
    """Among lines across at equal distances one is in none of their places, or touches another."""
    page = paper(37, 150, squared=True, angle=angle, margins=margins)
    assert overlap(load_picture(page), angle) > 0.8


def test_bars_that_are_cut_out_closely_stay_on_ruled_paper() -> None:
    bars = [stroke((x, -2.5), (x, 2.5)) for x in (0.0, 3.0)]
    written = render(Ink((bars[0], ring(1.5, 0), bars[1])), UNIT, pen=0.12, margin=0.5).image
    tight = written[UNIT // 2 : -UNIT // 2]
    found = load_picture(paper(37, 150, squared=False, written=tight))
    assert (found > 127)[:, :6].any() and found.shape[1] > 3 * UNIT


@pytest.mark.parametrize("angle", [0.2, 0.4])
def test_lines_that_are_sharp_in_some_parts_and_soft_in_others_go(angle: float) -> None:
    found = load_picture(paper(50, 150, squared=True, angle=angle))
    assert overlap(found, angle) > 0.75


@pytest.mark.parametrize(
    ("spacing", "width", "dark"), [(12, 1, False), (16, 2, True), (23, 1, False), (60, 3, True)]
)
def test_whatever_their_distance_width_and_colour(spacing: int, width: int, dark: bool) -> None:
    found = load_picture(paper(spacing, 120, squared=True, width=width, dark=dark))
    assert overlap(found, 0) > 0.65


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(("across", "down"), [(0.1, 0.0), (0.15, 0.05), (0.05, 0.1)])
def test_paper_seen_at_an_angle(squared: bool, across: float, down: float) -> None:
    """What is farther away is smaller: every line has a slope of its own."""

    def seen(level: int) -> np.ndarray:
        page = paper(37, level, squared=squared)
        (x, y), (w, h) = (across / page.width, down / page.height), page.size
        map_ = (1, 0, w / 2 * across, 0, 1, h / 2 * down, x, y)
        turned = page.transform(page.size, Image.Transform.PERSPECTIVE, map_, fillcolor=240)
        return load_picture(turned)

    found, alone = seen(150), seen(240)
    assert np.abs(np.subtract(found.shape, alone.shape)).max() <= 4
    assert float(found.sum()) == pytest.approx(float(alone.sum()), rel=0.25)


@pytest.mark.parametrize(("spacing", "level"), [(34, 185), (40, 205)])
def test_nothing_of_pale_squares_is_left_around_small_writing(spacing: int, level: int) -> None:
    """Lines too pale and bent to be found, whose crossings are as dark as a pale pencil."""
    small = render(Ink(FRACTION), 22, pen=0.12, margin=2.0).image
    page = paper(spacing, level, squared=True, width=1, written=np.pad(small, 400))
    (w, h), corners = page.size, (6, 4, 14, -8, -10, -3, -18, 8)
    quad = [at % side for at, side in zip(corners, (w, h) * 4, strict=True)]
    bent = page.transform((w, h), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    soft = np.asarray(bent.filter(ImageFilter.GaussianBlur(1)), float)
    photo = soft * np.linspace(1, 0.6, w) + np.random.default_rng(1).normal(0, 4, (h, w))
    alone = load_picture(Image.fromarray(255 - small))
    found = load_picture(Image.fromarray(np.uint8(np.clip(photo, 0, 255))))
    assert np.abs(np.subtract(found.shape, alone.shape)).max() <= 4


@pytest.mark.parametrize("level", [222, 214])
def test_pencil_on_squares_that_are_too_faint_for_ink_is_not_blank(level: int) -> None:
    pencil = np.asarray(np.pad(WRITTEN, 100) * 0.3, np.uint8)
    found = load_picture(paper(37, level, squared=True, written=pencil))
    alone = load_picture(Image.fromarray(255 - WRITTEN))
    assert np.abs(np.subtract(found.shape, alone.shape)).max() <= 4


def test_a_pale_margin_goes_and_its_like_as_dark_as_ink_stays() -> None:
    for level, gone in ((170, True), (40, False)):
        page = np.array(paper(10**6, 240, squared=False))
        page[:, 30:36] = level
        assert (overlap(load_picture(Image.fromarray(page)), 0) > 0.75) == gone


@pytest.mark.parametrize(
    "strokes",
    [
        FRACTION,
        [stroke((0, 0), (4, 0)), stroke((0, 1), (4, 1)), stroke((0, 2), (4, 2))],  # equivalent
        [stroke((0, 0), (0, 3)), ring(1, 1.5), stroke((2, 0), (2, 3))],  # absolute
        [stroke((0, 0), (6, 0)), stroke((2.7, -2), (2.7, -1)), stroke((3, 1), (3, 2))],  # fraction
        [stroke((0, 2), (0.5, 3), (1, 0), (7, 0)), ring(2, 2), ring(4, 2)],  # root
        [stroke((0, 0), (4, 0))],  # minus
    ],
)
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_written_lines_stay_however_closely_the_picture_is_cut(
    strokes: list[Points], margin: float
) -> None:
    image = render(Ink(tuple(strokes)), UNIT, pen=0.12, margin=margin).image
    found = load_picture(Image.fromarray(255 - image))
    assert found.sum() == pytest.approx(float(image.sum()), rel=0.1)


@pytest.mark.parametrize("squared", [False, True])
def test_ruled_paper_without_writing_is_blank(squared: bool) -> None:
    page = np.full((400, 600), 245, np.uint8)
    page[np.arange(400) % 40 < 2] = 150
    if squared:
        page[:, np.arange(600) % 40 < 2] = 150
    with pytest.raises(BlankError):
        load_picture(Image.fromarray(page))
