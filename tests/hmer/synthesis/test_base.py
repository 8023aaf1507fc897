"""Several generators as one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.strokes import Ink
from hmer.synthesis.base import PATIENCE, Allowed, Leakage, Mixture, Numbered, Written


def test_only_long_equal_captions_are_kept_out() -> None:
    held = [["x"], "a + b".split(), "a + b c".split()]
    leakage = Leakage.of(held)
    assert len(leakage) == 1
    assert leakage.allows("a + b".split())
    assert leakage.allows("a + b d".split())
    assert leakage.excluded == 0
    assert not leakage.allows("a + b c".split())
    assert not leakage.allows("a + b c".split())
    assert leakage.excluded == 2
    assert not Leakage.of(held, short=0).allows(["x"])


def test_the_list_travels_without_its_captions(tmp_path: Path) -> None:
    caption = r"\alpha + b c".split()
    Leakage.of([caption, ["x"]]).write(tmp_path / "held.json")
    assert "alpha" not in (tmp_path / "held.json").read_text()
    found = Leakage.read(tmp_path / "held.json")
    assert len(found) == 1
    assert not found.allows(caption)
    assert found.allows(caption[:-1])


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"short": "x", "captions": []}'])
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


def captions(numbered: Numbered, numbers: list[int]) -> list[str]:
    return ["".join(numbered[number].tokens) for number in numbers]


def test_by_number_alone() -> None:
    numbered = Numbered(Sometimes(0.3), 5)
    forward = captions(numbered, list(range(20)))
    assert captions(Numbered(Sometimes(0.3), 5), list(range(20))[::-1]) == forward[::-1]
    assert len(set(forward)) == 20
    assert numbered.nothing > 10
    assert not set(forward) & set(captions(Numbered(Sometimes(0.3), 6), list(range(20))))


def test_a_generator_that_makes_nothing() -> None:
    numbered = Numbered(Sometimes(0.0), 0)
    with pytest.raises(HmerError, match=f"expression 7: {PATIENCE} draws"):
        numbered[7]


class Says:
    """Always the same caption."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def __call__(self, rng: np.random.Generator) -> Written | None:
        return Written(INK, self.tokens, "says")


def said(mixture: Mixture | Allowed, seed: int = 0) -> str | None:
    written = mixture(np.random.default_rng(seed))
    return " ".join(written.tokens) if written else None


def test_weights_are_shares() -> None:
    mixture = pickle.loads(pickle.dumps(Mixture([(3, Says("a")), (0, Says("b")), (1, Says("c"))])))
    answers = [said(mixture, seed) for seed in range(2000)]
    assert set(answers) == {"a", "c"}
    assert answers.count("a") / 2000 == pytest.approx(0.75, abs=0.04)


def test_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="positive weight"):
        Mixture([(0, Says("a"))])


def test_what_must_not_be_written_comes_to_nothing() -> None:
    leakage = Leakage.of([["a", "+", "b", "c"]])
    assert said(Allowed(Says("a", "+", "b", "c"), leakage)) is None
    assert said(Allowed(Says("a", "+", "b"), leakage)) == "a + b"
    assert leakage.excluded == 1
