import numpy as np
import pytest

from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.glyphs.font import (
    BUILT,
    DRAWN,
    STEP,
    WORDS,
    Glyph,
    features,
    parse_drawn,
    recognisable,
    resample,
    spline,
    variants,
)
from hmer.synthesis.hands.writer import Writer

STRUCTURE = ("^", "_", "{", "}", r"\limits")
SINGLE = [token for token in vocabulary("wap").tokens if token not in (*STRUCTURE, *WORDS, *BUILT)]


@pytest.mark.parametrize("token", SINGLE)
def test_every_token_has_a_glyph_of_sensible_size(token: str) -> None:
    for glyph in variants(token):
        points = np.concatenate(glyph)
        width, height = np.ptp(points, axis=0)
        assert 0.02 < max(width, height) < 2.3
        assert all(len(stroke) >= 2 for stroke in glyph)
        assert points[:, 1].min() > -1.75 and points[:, 1].max() < 0.95


def test_digits_stand_on_the_baseline_and_are_taller_than_small_letters() -> None:
    for digit in "0123456789":
        for glyph in variants(digit):
            ys = np.concatenate(glyph)[:, 1]
            assert abs(ys.max()) < 0.1
            assert 1.1 < np.ptp(ys) < 1.4
    for letter in "acemnorsuvwxz":
        for glyph in variants(letter):
            assert 0.6 < np.ptp(np.concatenate(glyph)[:, 1]) < 1.05


def test_what_hands_keep_apart_is_kept_apart() -> None:
    for glyph in variants("1"):
        assert np.ptp(np.concatenate(glyph)[:, 0]) > 0.15, "1 needs a flag, or it reads as |"
    for glyph in variants("I"):
        assert len(glyph) == 3, "I needs serifs, or it reads as 1"
    assert all(np.ptp(np.concatenate(glyph)[:, 1]) < 0.6 for glyph in variants(r"\times"))
    for glyph in variants("q"):
        points = np.concatenate(glyph)
        assert points[-1, 0] > points[:, 0].max() - 0.25, "q needs its tail, or it reads as 9"


def test_a_token_without_a_glyph_is_a_key_error() -> None:
    for token in (*STRUCTURE, *WORDS, *BUILT, r"\nosuch"):
        with pytest.raises(KeyError):
            variants(token)


def test_the_notation_flips_y_and_keeps_corners() -> None:
    (stroke,) = parse_drawn("0,0 100,0! 100,100")
    assert np.allclose(stroke[0], (0, 0)) and np.allclose(stroke[-1], (1, -1))
    assert np.min(np.hypot(*(stroke - (1, 0)).T)) < STEP / 2
    smooth = parse_drawn("0,0 100,0 100,100")[0]
    assert smooth[:, 0].max() > 1.01, "without the corner mark the pen swings out"


def test_all_drawn_variants_parse() -> None:
    for token, texts in DRAWN.items():
        for text in texts:
            assert len(parse_drawn(text)) == text.count("|") + 1, token


def test_resample_spaces_evenly_and_keeps_the_ends() -> None:
    bent = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    even = resample(bent, 0.5)
    assert len(even) == 15
    assert np.allclose(even[[0, -1]], bent[[0, -1]])
    assert np.allclose(np.hypot(*np.diff(even, axis=0).T), 0.5)


def test_spline_passes_through_its_knots() -> None:
    knots = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])
    curve = spline(knots)
    for knot in knots:
        assert np.min(np.hypot(*(curve - knot).T)) < 1e-9


def samples(token: str, count: int) -> list[Glyph]:
    return [Writer.draw(seed).sign(token, np.random.default_rng(seed)) for seed in range(count)]


def test_a_mislabelled_sample_is_found() -> None:
    xs, ones, sums = samples("x", 30), samples("1", 30), samples(r"\sum", 30)
    tokens = ["x"] * 30 + ["1"] * 30 + [r"\sum"] * 30
    assert recognisable(tokens, [*xs, *ones, *sums]).all()
    tokens[3], tokens[40] = r"\sum", "x"
    assert np.flatnonzero(~recognisable(tokens, [*xs, *ones, *sums])).tolist() == [3, 40]


def test_a_small_class_is_not_outnumbered_by_one_that_looks_like_it() -> None:
    """Ten times as many zeros are always among the nearest neighbours of an `o` as high."""
    rng = np.random.default_rng(0)
    zeros: list[Glyph] = [(zero * (0.6, 1.0),) for (zero,) in samples("0", 300)]
    rings: list[Glyph] = [(zero * rng.uniform(0.95, 1.05, 2),) for (zero,) in zeros[:30]]
    tokens, glyphs = ["0"] * 300 + ["o"] * 30, [*zeros, *rings]
    assert recognisable(tokens, glyphs)[300:].all()
    tokens, glyphs = [*tokens, *"x" * 30], [*glyphs, *samples("x", 30)]
    tokens[305], tokens[340] = "x", "o"
    assert np.flatnonzero(~recognisable(tokens, glyphs)).tolist() == [305, 340]


def test_small_classes_are_not_judged() -> None:
    glyphs = [*samples("x", 30), *samples("1", 4)]
    assert recognisable(["x"] * 30 + ["1"] * 4, glyphs).all()
    assert recognisable(["x", "1", "1"], glyphs[29:32]).all(), "fewer than the neighbours wanted"


def test_case_shows_in_the_features() -> None:
    small = samples("x", 1)[0]
    large = tuple(stroke * 1.6 for stroke in small)
    assert np.abs(features(small) - features(large)).max() > 0.1
    assert np.abs(features(small)[:-2] - features(large)[:-2]).max() < 0.1


def test_dots_have_features() -> None:
    assert np.isfinite(features((np.array([(0.0, 0.0)]),))).all()
