import numpy as np
import pytest
from PIL import Image, ImageFilter

from hmer.errors import InkError
from hmer.ink.affine import mapped
from hmer.ink.blobs import pen_width, picture_unit
from hmer.ink.fit import fit_picture, fitted
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

UNIT = 40


def letters() -> Ink:
    angle = np.linspace(0, 2 * np.pi, 40)
    ring = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle)], 1)
    strokes = [np.add(ring, [1.6 * n, 0]) for n in range(5)]
    strokes.append(np.array([[-0.5, 0.9], [7, 0.9]]))
    return Ink(tuple(stroke.astype(np.float32) for stroke in strokes))


def drawn(pen: float, unit: float = UNIT) -> np.ndarray:
    return render(letters(), unit, pen, margin=0.1).image


@pytest.mark.parametrize("pen", [0.03, 0.1, 0.3])
def test_sizes_are_those_it_was_drawn_with(pen: float) -> None:
    assert picture_unit(drawn(pen)) == pytest.approx(UNIT, rel=0.1)
    assert pen_width(drawn(pen)) == pytest.approx(pen * UNIT, rel=0.2, abs=0.5)


def test_nothing_has_no_size() -> None:
    blank = np.zeros((4, 4), np.uint8)
    assert pen_width(blank) == 0
    with pytest.raises(InkError):
        picture_unit(blank)


def test_hairs_of_paper_across_thin_lines_do_not_change_the_size() -> None:
    broken = drawn(0.06).copy()
    broken[:, ::7] = 0
    broken[::9] = 0
    assert picture_unit(broken) == pytest.approx(UNIT, rel=0.15)


@pytest.mark.parametrize("unit", [10, 20, 55.5])
@pytest.mark.parametrize("pen", [0.03, 0.1, 0.3])
def test_whatever_the_pen_it_looks_rendered(unit: float, pen: float) -> None:
    style = RenderConfig(unit=unit, pen=0.1, margin=0.5)
    found = fit_picture(drawn(pen), style)
    wanted = render(letters(), unit, 0.1, 0.5).image
    assert found.dtype == np.uint8
    assert np.abs(np.subtract(found.shape, wanted.shape)).max() <= 0.12 * max(wanted.shape)
    border = round(unit * 0.5) - max(2, round(0.1 * unit))
    assert found[:border].max() == found[:, :border].max() == 0
    assert pen_width(found) == pytest.approx(pen_width(wanted), rel=0.35)
    # Dark enough: thin lines do not become faint.
    assert float(found.sum()) == pytest.approx(float(wanted.sum()), rel=0.35)


@pytest.mark.parametrize("angle", [0, 9, -14])
def test_the_map_leads_back_to_the_picture(angle: float) -> None:
    picture = Image.fromarray(drawn(0.1)).rotate(-angle, expand=True)
    found, back = fitted(np.asarray(picture), RenderConfig(unit=15))
    rows, columns = np.nonzero(found > 200)
    x, y, _ = back @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    ink = np.asarray(picture.filter(ImageFilter.MaxFilter(5))) > 127
    assert ink[y.astype(int), x.astype(int)].mean() > 0.98
    assert ink.mean() < 0.5
    (left, top, right, bottom) = mapped((x.min(), y.min(), x.max(), y.max()), np.eye(3))
    assert np.abs(np.subtract((left, top, right, bottom), picture.getbbox() or 0)).max() < 6


def test_microscopic_writing_cannot_be_blown_up() -> None:
    dust = np.zeros((3000, 3000), np.uint8)
    dust[::100, ::100] = 255
    with pytest.raises(InkError, match="one expression"):
        fit_picture(dust, RenderConfig())


@pytest.mark.parametrize("radius", [1.0, 3.0, 8.0, 20.0])
def test_a_dot_alone_stays_a_dot(radius: float) -> None:
    side = round(2 * radius) + 4
    y, x = np.mgrid[:side, :side]
    disc = np.clip(radius + 0.5 - np.hypot(x - side / 2, y - side / 2), 0, 1)
    found = fit_picture(np.asarray(255 * disc, np.uint8), RenderConfig(unit=20))
    inked = np.argwhere(found > 50)
    assert 0 < np.ptp(inked, axis=0).max() <= 7 and max(found.shape) < 30
