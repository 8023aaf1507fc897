from collections import Counter

import numpy as np
import pytest

from hmer.latex.parse import parse
from hmer.latex.tree import Relation, Row
from hmer.synthesis.grammar.treegram import END, ROOT, START, TreeGram, kind_of, unit_of


def trees(*captions: str) -> list[Row]:
    return [parse(caption.split()) for caption in captions]


def test_draws_follow_the_counts() -> None:
    gram = TreeGram(trees(*["a b"] * 30, *["a c"] * 10), {})
    rng = np.random.default_rng(0)
    after = Counter(gram.draw(ROOT, START, ("a", ()), rng)[0] for _ in range(4000))
    assert after["b"] / after["c"] == pytest.approx(3.0, rel=0.15)
    # Witten and Bell: N / (N + T) = 40 / 42 of the draws come from the longest history, and the
    # shorter ones that can still say something else only seldom do.
    assert after["b"] + after["c"] > 0.95 * 4000


def test_weights_multiply_counts() -> None:
    gram = TreeGram(trees(*["a b"] * 30, *["a c"] * 10), {"c": 6.0})
    rng = np.random.default_rng(0)
    after = Counter(gram.draw(ROOT, START, ("a", ()), rng)[0] for _ in range(4000))
    assert after["c"] / after["b"] == pytest.approx(2.0, rel=0.15)


def test_an_unseen_history_backs_off() -> None:
    gram = TreeGram(trees("a b", "c d"), {})
    rng = np.random.default_rng(0)
    known = {("a", ()), ("b", ()), ("c", ()), ("d", ()), END}
    drawn = {gram.draw(ROOT, ("q", ()), ("r", ()), rng) for _ in range(300)}
    assert drawn == known


def test_rows_are_told_apart_by_what_they_hang_on() -> None:
    gram = TreeGram(trees("x ^ { 2 }", r"\sum _ { i }"), {})
    rng = np.random.default_rng(0)
    assert kind_of(Relation.SUB, r"\sum") in gram and kind_of(Relation.SUB, "x") not in gram
    drawn = Counter(gram.draw(kind_of(Relation.SUP, "y"), START, START, rng) for _ in range(400))
    assert drawn["2", ()] > 300 > 40 > drawn["i", ()], "each kind has its own beginnings"
    with pytest.raises(KeyError):
        gram.draw(kind_of(Relation.INSIDE, r"\sqrt"), START, START, rng)


def test_a_unit_is_a_symbol_and_what_hangs_on_it() -> None:
    (node,) = parse("x _ { 1 } ^ { 2 }".split())
    assert unit_of(node) == ("x", (Relation.SUB, Relation.SUP))
