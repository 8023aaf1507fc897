from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import Expressions, load_expressions
from hmer.latex.alignment import stroke_places
from hmer.latex.tree import expression_depth, parse, serialise
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis import ink_index
from hmer.synthesis.base import Leakage, Written
from hmer.synthesis.decompose import Decomposer
from hmer.synthesis.editable_ink import Part, depth, faults, parts_of
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks
from hmer.synthesis.glyphs.font import variants
from hmer.synthesis.recombine import recombine
from hmer.synthesis.recombine.recombine import RecombineConfig, Recombiner, legible


@pytest.fixture(scope="module")
def expressions(small_dataset: Path) -> Expressions:
    return load_expressions(small_dataset / "train.parquet")


@pytest.fixture(scope="module")
def bank(small_dataset: Path) -> GlyphBank:
    return cut_bank(read_training_inks(small_dataset / "train.parquet"))


@pytest.fixture(scope="module")
def recombiner(expressions: Expressions, bank: GlyphBank) -> Recombiner:
    return Recombiner(Decomposer(expressions), bank)


@pytest.fixture
def chances(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets how often what is exchanged."""

    def setting(**values: float) -> None:
        for name, value in values.items():
            monkeypatch.setattr(recombine, f"_{name.upper()}", value)

    return setting


def some(recombiner: Recombiner, count: int, seed: int = 0) -> list[Written]:
    rng = np.random.default_rng(seed)
    made = [recombiner(rng) for _ in range(count)]
    return [written for written in made if written is not None]


def test_captions_and_ink_agree(recombiner: Recombiner) -> None:
    made = some(recombiner, 200)
    assert len(made) > 150
    for written in made:
        assert serialise(parse(written.tokens)) == written.tokens
        assert not vocabulary("wap").unknown(written.tokens)
        assert stroke_places(written.ink, written.tokens) is not None
        row = parts_of(written.ink, written.tokens)
        assert not list(faults(row))
        left, top, right, bottom = written.ink.bounds()
        assert (left, top) == pytest.approx((0, 0), abs=1e-4)
        assert max(right, bottom) < 100


def test_most_captions_are_new(recombiner: Recombiner, expressions: Expressions) -> None:
    made = {" ".join(written.tokens) for written in some(recombiner, 200)}
    known = {" ".join(tokens) for tokens in expressions.tokens}
    assert len(made - known) > 120


def test_deterministic_and_picklable(recombiner: Recombiner) -> None:
    other = pickle.loads(pickle.dumps(recombiner))
    for first, second in zip(some(recombiner, 20, 5), some(other, 20, 5), strict=True):
        assert first.tokens == second.tokens
        for a, b in zip(first.ink.strokes, second.ink.strokes, strict=True):
            np.testing.assert_array_equal(a, b)


def test_nothing_to_change_gives_nothing(
    recombiner: Recombiner, chances: Callable[..., None]
) -> None:
    chances(groups=0, same=0.5, other=0)
    assert not some(recombiner, 20)


def test_other_symbols_only(
    recombiner: Recombiner, expressions: Expressions, chances: Callable[..., None]
) -> None:
    chances(groups=0, same=0, other=1, whole=1)
    shapes = {len(tokens) for tokens in expressions.tokens}
    made = some(recombiner, 40)
    assert made
    assert {len(written.tokens) for written in made} <= shapes


def test_held_out_captions_do_not_come_out(expressions: Expressions, bank: GlyphBank) -> None:
    free = Recombiner(Decomposer(expressions), bank)
    held = [written.tokens for written in some(free, 100) if len(written.tokens) > 3]
    kept = Recombiner(Decomposer(expressions), bank, leakage=Leakage.of(held))
    assert not [written for written in some(kept, 100) if written.tokens in held]
    assert kept.leakage.excluded


def test_longest(recombiner: Recombiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recombine, "LONGEST", 8)
    assert max(len(written.tokens) for written in some(recombiner, 60)) <= 8


def test_deepest(recombiner: Recombiner, chances: Callable[..., None]) -> None:
    deep = some(recombiner, 60)
    chances(deepest=0)
    made = some(recombiner, 60)
    assert made
    assert max(expression_depth(parse(written.tokens)) for written in made) == 0
    assert max(expression_depth(parse(written.tokens)) for written in deep) > 0
    for written in deep:
        row = parts_of(written.ink, written.tokens)
        assert depth(row) == expression_depth(parse(written.tokens))


def test_rare_tokens_come_more_often(
    expressions: Expressions,
    bank: GlyphBank,
    chances: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With everything else turned off: how often a whole expression is started from."""
    counts = Counter(token for tokens in expressions.tokens for token in set(tokens))
    rare = {token for token, count in counts.items() if count == 1}

    def share(strength: float) -> float:
        chances(whole=1)
        monkeypatch.setattr(ink_index, "_RARE", strength)
        bases = [written.base for written in some(Recombiner(Decomposer(expressions), bank), 300)]
        return float(
            np.mean(
                [bool(rare & set(expressions.tokens[base])) for base in bases if base is not None]
            )
        )

    assert share(1.0) > 1.2 * share(0.0)


def square(left: float, top: float, size: float) -> Part:
    return Part(
        "x", (np.array([[0, 0], [1, 1]], np.float32) * size + np.array([left, top], np.float32),)
    )


def test_legible() -> None:
    assert legible([square(0, 0, 1), square(1.1, 0, 1)])
    assert legible([square(0, 0, 1), square(0.8, 0, 1)])
    assert not legible([square(0, 0, 1), square(0.3, 0, 1)])
    assert not legible([square(0, 0, 1), square(0.5, 0.5, 0)])  # a dot in a letter
    assert not legible([square(np.nan, 0, 1)])


def test_letters_change_their_case_all_through_an_expression(
    expressions: Expressions, bank: GlyphBank, chances: Callable[..., None]
) -> None:
    letters = sorted(
        {token for tokens in expressions.tokens for token in tokens if len(token) == 1}
    )
    other = [letter.swapcase() for letter in letters if letter.swapcase() != letter]
    drawn = [Cutting(token, "font", variants(token)[0]) for token in other]
    both = GlyphBank.pack([*bank.cuttings(), *drawn], bank.collections | {"font": "font"})
    chances(groups=0, same=0, other=0, whole=1)
    made = some(Recombiner(Decomposer(expressions), both, RecombineConfig(case=1)), 60)
    assert len(made) > 20
    for written in made:
        assert written.base is not None
        before = expressions.tokens[written.base]
        changed = {old: new for old, new in zip(before, written.tokens, strict=True) if old != new}
        assert changed and all(old.swapcase() == new for old, new in changed.items())
        # A letter that could not be written there stays; whatever changed has one new case.
        pairs = {(old, new) for old, new in zip(before, written.tokens, strict=True) if old != new}
        assert len(pairs) == len(changed)
