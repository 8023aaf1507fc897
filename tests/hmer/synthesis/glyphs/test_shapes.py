import numpy as np

from hmer.synthesis.glyphs.font import Glyph
from hmer.synthesis.glyphs.shapes import features, recognisable
from hmer.synthesis.hands.writer import Writer


def samples(token: str, count: int) -> list[Glyph]:
    return [Writer.draw(seed).sign(token, np.random.default_rng(seed)) for seed in range(count)]


def test_a_mislabelled_sample_is_found() -> None:
    xs, ones, sums = samples("x", 30), samples("1", 30), samples(r"\sum", 30)
    tokens = ["x"] * 30 + ["1"] * 30 + [r"\sum"] * 30
    assert recognisable(tokens, [*xs, *ones, *sums]).all()
    tokens[3], tokens[40] = r"\sum", "x"
    assert np.flatnonzero(~recognisable(tokens, [*xs, *ones, *sums])).tolist() == [3, 40]


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
