import pickle
from collections import Counter

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.latex.tree import Relation, Row, expression_depth, parse, serialise
from hmer.synthesis.grammar.fitted import (
    END,
    ROOT,
    START,
    FittedGrammar,
    TreeGram,
    kind_of,
    unit_of,
)
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.layout.box import bracket_pairs


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


@pytest.fixture(scope="module")
def corpus() -> list[list[str]]:
    grammar = Grammar(GrammarConfig(max_tokens=30, max_depth=3))
    return [serialise(grammar.sample(np.random.default_rng(n))) for n in range(800)]


def test_samples_parse_keep_the_limits_and_are_mostly_new(corpus: list[list[str]]) -> None:
    fitted = FittedGrammar(corpus)
    rng = np.random.default_rng(0)
    known = {tuple(caption) for caption in corpus}
    symbols = {token for caption in corpus for token in caption}
    samples = [serialise(fitted.sample(rng)) for _ in range(300)]
    for tokens in samples:
        assert serialise(parse(tokens)) == tokens
        assert 2 <= len(tokens) <= 60 and expression_depth(parse(tokens)) <= 5
        assert set(tokens) <= symbols
    assert np.mean([tuple(tokens) not in known for tokens in samples]) > 0.6
    assert len({tuple(tokens) for tokens in samples}) > 200


def test_lengths_resemble_the_corpus(corpus: list[list[str]]) -> None:
    fitted = FittedGrammar(corpus)
    rng = np.random.default_rng(0)
    lengths = [len(serialise(fitted.sample(rng))) for _ in range(1500)]
    usual = [len(caption) for caption in corpus]
    assert np.mean(lengths) == pytest.approx(np.mean(usual), rel=0.2)
    assert np.quantile(lengths, 0.9) == pytest.approx(np.quantile(usual, 0.9), rel=0.3)


def test_brackets_balance_in_every_row(corpus: list[list[str]]) -> None:
    fitted = FittedGrammar(corpus)
    rng = np.random.default_rng(1)
    bracketed = 0
    for _ in range(400):
        row = [node.token for node in fitted.sample(rng)]
        round_ones = [place for place, token in enumerate(row) if token in ("(", ")")]
        matched = {place for pair in bracket_pairs(row) for place in pair}
        assert set(round_ones) <= matched, row
        bracketed += bool(round_ones)
    assert bracketed > 20


def test_the_same_state_gives_the_same_expression_also_after_pickling(
    corpus: list[list[str]],
) -> None:
    fitted = FittedGrammar(corpus)
    again = pickle.loads(pickle.dumps(fitted))
    for seed in range(20):
        one, two = (g.sample(np.random.default_rng(seed)) for g in (fitted, again))
        assert one == two


def test_the_fit_does_not_depend_on_the_hash_seed(corpus: list[list[str]]) -> None:
    """Options are sorted before weights are summed."""
    shuffled = [corpus[i] for i in np.random.default_rng(0).permutation(len(corpus))]
    before, after = TreeGram(map(parse, corpus), {}), TreeGram(map(parse, shuffled), {})
    for seed in range(20):
        one, two = (
            gram.draw(ROOT, START, START, np.random.default_rng(seed)) for gram in (before, after)
        )
        assert one == two


def test_rare_tokens_are_drawn_more_often(corpus: list[list[str]]) -> None:
    fitted, common = FittedGrammar(corpus), Counter(t for caption in corpus for t in caption)
    usual = float(np.median(list(fitted.tokens.values())))
    rare = {token for token, count in fitted.tokens.items() if count < usual / 3}
    rng = np.random.default_rng(0)
    drawn = Counter(t for _ in range(800) for t in serialise(fitted.sample(rng)))
    before, now = (sum(found[t] for t in rare) / found.total() for found in (common, drawn))
    assert now > 1.2 * before > 0


def test_captions_that_do_not_parse_are_left_out() -> None:
    fitted = FittedGrammar([["a", "b"], ["{"], ["b", "}"]])
    assert fitted.tokens == {"a": 1, "b": 1}
    with pytest.raises(HmerError, match="no caption that parses"):
        FittedGrammar([["{"]])


def test_captions_that_leave_nothing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmer.synthesis.grammar.fitted._ATTEMPTS", 0)
    with pytest.raises(HmerError, match="too much alike"):
        FittedGrammar([["a"]]).sample(np.random.default_rng(0))
