import numpy as np
import pytest

from hmer.synthesis.layout.radical import draw_radical, fit_bar, fit_radical, split_radical

RADICAL = (np.array([(0, -0.5), (0.1, -0.6), (0.3, 0.0), (0.5, -1.2), (2.0, -1.25), (2.0, -1.1)]),)


def test_the_overline_begins_after_the_foot() -> None:
    assert split_radical(RADICAL) == pytest.approx((0.5, -1.2, 0.0))


@pytest.mark.parametrize(
    "glyph",
    [
        (np.array([(0.0, 0.0), (2.0, 0.0)]),),  # a bar
        (np.array([(0.0, -1.0), (0.3, 0.0), (0.5, -1.0)]),),  # a v: nothing to write under
        (np.array([(0.0, -1.0), (2.0, 0.0)]),),  # its foot at the right
    ],
)
def test_what_is_no_radical(glyph: tuple[np.ndarray, ...]) -> None:
    assert split_radical(glyph) is None
    with pytest.raises(ValueError, match="radical"):
        fit_radical(glyph, 1.0, -1.0, 0.0)


def test_only_the_overline_grows_with_the_content() -> None:
    short, long = (fit_radical(RADICAL, run, -1.2, 0.0) for run in (1.5, 6.0))
    assert short.begin == pytest.approx(long.begin) == pytest.approx(0.5)
    points = np.concatenate(long.glyph)
    assert points[:, 0].min() == pytest.approx(0.0)
    assert points[:, 0].max() == pytest.approx(6.5)
    assert points[:, 1].max() == pytest.approx(0.0)
    assert long.foot == pytest.approx(0.3)


def test_a_radical_spans_the_height_it_is_given() -> None:
    tall = fit_radical(RADICAL, 1.5, -3.0, 0.6)
    points = np.concatenate(tall.glyph)
    begins = points[np.isclose(points[:, 0], tall.begin)]
    assert begins[0, 1] == pytest.approx(-3.0) and points[:, 1].max() == pytest.approx(0.6)
    assert points[:, 1].min() == pytest.approx(-3.05), "its slope does not grow with it"
    assert 0.5 < tall.begin < 1.5, "its hook does, but less"


def test_a_drawn_radical_splits_where_it_says() -> None:
    def pen(corners: list[tuple[float, float]], _: np.random.Generator) -> np.ndarray:
        return np.array(corners)

    drawn = draw_radical(2.0, -1.2, 0.1, np.random.default_rng(0), pen)
    split = split_radical(drawn.glyph)
    assert split is not None
    assert split == pytest.approx((drawn.begin, -1.2, 0.1))


def test_a_bar_reaches_from_end_to_end() -> None:
    bar = (np.array([(3.0, 1.0), (4.0, 1.1), (5.0, 1.0)]),)
    points = np.concatenate(fit_bar(bar, 6.0, -0.4, 0.0))
    assert (points[:, 0].min(), points[:, 0].max()) == pytest.approx((0.0, 6.0))
    assert (points[:, 1].min() + points[:, 1].max()) / 2 == pytest.approx(-0.4)
    tilted = np.concatenate(fit_bar(bar, 6.0, -0.4, 0.1))
    assert tilted[0, 1] - points[0, 1] == pytest.approx(0.1)
    assert tilted[-1, 1] - points[-1, 1] == pytest.approx(-0.1)
