from collections import Counter
from typing import Any

import numpy as np
import pytest

from hmer.latex.tree import Node, Row, parse, serialise
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.substitutions import CATEGORIES, Lookalikes, Renamer, rarity

COUNTS = Counter(dict.fromkeys([*"abcdxyzABn0123456789+-=<>()[]", r"\alpha", r"\beta"], 10))


def shape(row: Row) -> tuple[Any, ...]:
    return tuple(tuple((kind, shape(child)) for kind, child in node.children) for node in row)


@pytest.mark.parametrize("seed", range(30))
def test_structure_stays(seed: int) -> None:
    row = parse(r"x ^ { 2 } + \frac { a x } { \sqrt { b } } = ( n + 1 )".split())
    renamed = Renamer(COUNTS, {}).rename(row, np.random.default_rng(seed))
    assert shape(renamed) == shape(row)
    assert all(t in COUNTS or t in r"\frac \sqrt { } ^ _".split() for t in serialise(renamed))


@pytest.mark.parametrize("seed", range(30))
def test_a_variable_is_renamed_throughout_and_others_stay_different(seed: int) -> None:
    row = parse("x + y = x y z".split())
    names = [node.token for node in Renamer(COUNTS, {}).rename(row, np.random.default_rng(seed))]
    assert names[0] == names[4] and names[2] == names[5]
    assert len({names[0], names[2], names[6]}) == 3


def test_the_d_of_an_integral_stays() -> None:
    renamer = Renamer(COUNTS, {})
    row = parse(r"\int x d x".split())
    alone = parse("x d x".split())
    renamed = [renamer.rename(row, np.random.default_rng(s))[2].token for s in range(40)]
    assert set(renamed) == {"d"}
    assert len({renamer.rename(alone, np.random.default_rng(s))[1].token for s in range(40)}) > 3


def test_brackets_are_exchanged_in_pairs() -> None:
    row = parse("( a + ( b ) )".split())
    renamer = Renamer(COUNTS | Counter({r"\{": 3, r"\}": 3}), {})
    seen = set()
    for seed in range(150):
        found = [n.token for n in renamer.rename(row, np.random.default_rng(seed))]
        assert (found[0], found[6]) in (("(", ")"), ("[", "]"), (r"\{", r"\}"))
        assert (found[3], found[5]) == (found[0], found[6])
        seen.add(found[0])
    assert seen == {"(", "[", r"\{"}


def test_most_renamings_change_something_and_unknown_tokens_stay() -> None:
    renamer = Renamer(COUNTS, {})
    row = (*parse("a + 2 = b".split()), Node(r"\exotic"))
    new = [renamer.rename(row, np.random.default_rng(seed)) for seed in range(100)]
    assert np.mean([found != row for found in new]) > 0.8
    assert all(found[-1].token == r"\exotic" for found in new)


def test_categories_are_disjoint_tokens_of_the_vocabulary() -> None:
    tokens = [token for category in CATEGORIES for token in category]
    assert len(tokens) == len(set(tokens))
    assert not vocabulary("wap").unknown(tokens)


def test_tempering() -> None:
    lookalikes = Lookalikes({"+": 5, "-": 1000, r"\pm": 10})
    rng = np.random.default_rng(0)
    drawn = Counter(lookalikes.another("+", rng) for _ in range(8000))
    assert drawn.keys() == {"-", r"\pm"}
    assert drawn["-"] / drawn[r"\pm"] == pytest.approx(10.0, rel=0.3)


def test_what_has_no_likeness_stays() -> None:
    lookalikes = Lookalikes({"(": 5, "+": 5, "x": 3})
    rng = np.random.default_rng(0)
    assert lookalikes.another("(", rng) is None
    assert lookalikes.another(r"\frac", rng) is None
    assert lookalikes.another("+", rng) is None  # no other operator is known
    assert lookalikes.another("a", rng) == "x"


def test_rarity_is_one_for_common_tokens_and_bounded() -> None:
    found = rarity({"x": 10_000, "y": 100, "z": 4, "q": 1}, 1.0, 20.0)
    assert found == {"q": 20.0, "x": 1.0, "y": 1.0, "z": pytest.approx(13.0)}
    assert set(rarity({"x": 9, "y": 1}, 0.0, 20.0).values()) == {1.0}
