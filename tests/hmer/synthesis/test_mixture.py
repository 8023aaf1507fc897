"""Several generators as one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from hmer.ink.strokes import Ink
from hmer.synthesis.leakage import Leakage
from hmer.synthesis.mixture import Allowed, Mixture
from hmer.synthesis.written import Written

INK = Ink((np.zeros((1, 2), np.float32),))


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
