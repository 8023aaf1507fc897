import numpy as np
import pytest

from hmer.latex.vocabulary import chosen_vocabulary
from hmer.synthesis.glyphs.font import WORDS, variants
from hmer.synthesis.glyphs.signs import written
from hmer.synthesis.layout.layout import DRAWN

STRUCTURE = {*r"& \\ \limits \matrix \not ^ _ { } \mathbb \mathcal \mathfrak".split()}
"""What leaves no ink of its own, or none without the sign or letter after it."""
WIDE = chosen_vocabulary("wide", "wap").tokens


def of_font(token: str) -> bool:
    try:
        return bool(variants(token))
    except KeyError:
        return False


FURTHER = [t for t in WIDE if t not in (*STRUCTURE, *WORDS, *DRAWN) and not of_font(t)]


@pytest.mark.parametrize("token", [*FURTHER, r"\mathbb{R}", r"\mathcal{L}"])
def test_every_further_sign_has_a_sensible_size(token: str) -> None:
    for glyph in written(token):
        points = np.concatenate(glyph)
        assert 0.2 < np.ptp(points, axis=0).max() < 2.5
        assert all(len(stroke) >= 2 for stroke in glyph)
        assert points[:, 1].min() > -1.75 and points[:, 1].max() < 0.95


def test_the_signs_of_crohme_are_those_of_the_font_and_measured_by_it_alone() -> None:
    assert written("x") is variants("x")
    with pytest.raises(KeyError):
        variants(r"\%")


@pytest.mark.parametrize("token", [*sorted(STRUCTURE), r"\mathfrak{g}", r"\mathbb{\alpha}", '"'])
def test_what_has_no_glyph_is_a_key_error(token: str) -> None:
    with pytest.raises(KeyError):
        written(token)


def test_mirrored_signs_are_mirrored() -> None:
    left, right = (np.concatenate(written(token)[0]) for token in (r"\subset", r"\supset"))
    assert left[0, 0] > left[:, 0].mean() and right[0, 0] < right[:, 0].mean()
    up, down = (np.concatenate(written(token)[0]) for token in (r"\cup", r"\cap"))
    assert up[0, 1] < up[:, 1].mean() and down[0, 1] > down[:, 1].mean()
