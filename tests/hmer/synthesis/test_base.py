"""Numbers, draws, and what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.strokes import Ink
from hmer.synthesis.base import PATIENCE, Leakage, Written, draw, numbered, running


def test_only_long_equal_captions_are_kept_out() -> None:
    held = [["x"], "a + b".split(), "a + b c".split()]
    leakage = Leakage.of(held)
    assert len(leakage.held) == 1
    assert leakage.allows("a + b".split())
    assert leakage.allows("a + b d".split())
    assert leakage.excluded == 0
    assert not leakage.allows("a + b c".split())
    assert not leakage.allows("a + b c".split())
    assert leakage.excluded == 2


def test_the_list_travels_without_its_captions(tmp_path: Path) -> None:
    caption = r"\alpha + b c".split()
    Leakage.of([caption, ["x"]]).write(tmp_path / "held.json")
    assert "alpha" not in (tmp_path / "held.json").read_text()
    found = Leakage.read(tmp_path / "held.json")
    assert len(found.held) == 1
    assert not found.allows(caption)
    assert found.allows(caption[:-1])


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"captions": 3}'])
def test_damaged_lists_are_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "held.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(HmerError, match=r"held\.json"):
        Leakage.read(path)


INK = Ink((np.zeros((1, 2), np.float32),))


class Sometimes:
    """Makes something of a share of its draws."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, rng: np.random.Generator) -> Written | None:
        if rng.random() >= self.share:
            return None
        return Written(INK, [str(digit) for digit in rng.integers(10, size=8)], "test")


def captions(seed: int, numbers: list[int]) -> list[str]:
    return ["".join(numbered(Sometimes(0.3), seed, number).tokens) for number in numbers]


def test_by_number_alone() -> None:
    forward = captions(5, list(range(20)))
    assert captions(5, list(range(20))[::-1]) == forward[::-1]
    assert len(set(forward)) == 20
    assert not set(forward) & set(captions(6, list(range(20))))


def test_a_generator_that_makes_nothing() -> None:
    with pytest.raises(HmerError, match=f"expression 7: {PATIENCE} draws"):
        numbered(Sometimes(0.0), 0, 7)


def test_weights_are_shares() -> None:
    below, rng = running(np.array([3.0, 0.0, 1.0])), np.random.default_rng(0)
    drawn = [draw(below, rng) for _ in range(2000)]
    assert set(drawn) == {0, 2}
    assert drawn.count(0) / 2000 == pytest.approx(0.75, abs=0.04)
