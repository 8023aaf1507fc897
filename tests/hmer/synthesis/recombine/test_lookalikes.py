from collections import Counter

import numpy as np
import pytest

from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.recombine.lookalikes import CATEGORIES, Lookalikes


def test_categories_are_disjoint_tokens_of_the_vocabulary() -> None:
    tokens = [token for category in CATEGORIES for token in category]
    assert len(tokens) == len(set(tokens))
    assert not vocabulary("wap").unknown(tokens)


@pytest.mark.parametrize(("tempering", "ratio"), [(0.0, 1.0), (0.5, 10.0), (1.0, 100.0)])
def test_tempering(tempering: float, ratio: float) -> None:
    lookalikes = Lookalikes({"+": 5, "-": 1000, r"\pm": 10}, tempering)
    rng = np.random.default_rng(0)
    drawn = Counter(lookalikes.another("+", rng) for _ in range(8000))
    assert drawn.keys() == {"-", r"\pm"}
    assert drawn["-"] / drawn[r"\pm"] == pytest.approx(ratio, rel=0.3)


def test_what_has_no_likeness_stays() -> None:
    lookalikes = Lookalikes({"(": 5, "+": 5, "x": 3}, 1.0)
    rng = np.random.default_rng(0)
    assert lookalikes.another("(", rng) is None
    assert lookalikes.another(r"\frac", rng) is None
    assert lookalikes.another("+", rng) is None  # no other operator is known
    assert lookalikes.another("a", rng) == "x"
