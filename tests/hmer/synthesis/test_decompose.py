from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import Expressions, load_expressions
from hmer.errors import HmerError
from hmer.ink.scale import symbol_unit
from hmer.latex.alignment import stroke_places
from hmer.latex.tree import parse, serialise
from hmer.synthesis.base import Leakage
from hmer.synthesis.decompose import DecomposeConfig, Decomposer, pieces


@pytest.fixture(scope="module")
def expressions(small_dataset: Path) -> Expressions:
    return load_expressions(small_dataset / "train.parquet")


@pytest.fixture(scope="module")
def decomposer(expressions: Expressions) -> Decomposer:
    return Decomposer(expressions)


def captions(caption: str) -> dict[str, float]:
    tokens = caption.split()
    found: dict[str, float] = {}
    for piece in pieces(tokens):
        run = " ".join(tokens[piece.start : piece.stop])
        found[run] = found.get(run, 0.0) + piece.weight
    return found


def test_pieces_by_hand() -> None:
    found = captions("( a + b ) c")
    assert {"( a + b )", "a + b", "a", "b", "c", "a +", "+ b", "+"} == found.keys() - {
        "( a + b ) c"
    }
    assert "( a + b ) c" not in found  # the expression itself is real ink already
    assert found["a + b"] > 10 * found["a +"]
    assert found["a"] > 10 * found["+"]


def test_numerators_scripts_and_radicands_come_out() -> None:
    found = captions(r"\frac { a ^ { n } } { \sqrt { b c } } - 1")
    assert {r"a ^ { n }", "n", r"\sqrt { b c }", "b c", "1"} <= found.keys()
    assert r"\frac { a ^ { n } } { \sqrt { b c } }" in found


def test_lone_symbols_come_by_the_root_of_their_number_and_at_their_own_scale(
    expressions: Expressions,
) -> None:
    alone = Decomposer(expressions, DecomposeConfig(single=1.0))
    rng = np.random.default_rng(0)
    written = [alone(rng) for _ in range(3000)]
    tokens = {w.tokens[0] for w in written}
    assert all(len(w.tokens) == 1 for w in written)
    seen = {token for caption in alone.material.tokens for token in caption}
    assert {"+", "-", "=", "("} & seen <= tokens
    assert not tokens & {"\\frac", "\\sqrt", "^", "_", "{", "}"}
    times = Counter(w.tokens[0] for w in written)
    known = Counter(token for caption in alone.material.tokens for token in caption)
    roots = {token: known[token] ** 0.5 for token in times}
    for token, count in times.items():
        usual = 3000 * roots[token] / sum(roots.values())
        assert 0.4 * usual - 3 < count < 2.0 * usual + 3, token
    for w in written[:50]:
        if w.ink.bounds()[2:] != (0.0, 0.0):
            assert symbol_unit(w.ink) == pytest.approx(1.0, abs=0.02)


def test_length_is_bounded_and_bars_are_paired() -> None:
    assert max(len(run.split()) for run in captions(" ".join("a" * 80))) == 60
    found = captions("| a | b")
    assert "| a |" in found
    assert not any(run.count("|") == 1 for run in found)


def test_every_piece_owns_its_ink(decomposer: Decomposer) -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        written = decomposer(rng)
        assert serialise(parse(written.tokens)) == written.tokens
        assert stroke_places(written.ink, written.tokens) is not None
        left, top, _, _ = written.ink.bounds()
        assert (left, top) == (0.0, 0.0)


def test_ink_is_that_of_the_parent(decomposer: Decomposer) -> None:
    material = decomposer.material
    for seed in range(20):
        number, start, stop = decomposer.draw(np.random.default_rng(seed))
        for own in (False, True):
            written = decomposer.cut(number, start, stop, own)
            strokes = [material.stroke(i) for i in material.strokes_of(number, start, stop)]
            corner = np.concatenate(strokes).min(axis=0)
            unit = 1.0 if not own else symbol_unit(written.ink)
            assert unit == pytest.approx(1.0, abs=0.02)
            ratio = np.ptp(np.concatenate(strokes), axis=0).max() / max(written.ink.bounds())
            for one, other in zip(strokes, written.ink.strokes, strict=True):
                np.testing.assert_allclose((one - corner) / ratio, other, atol=1e-3)


def test_deterministic_and_picklable(decomposer: Decomposer) -> None:
    other = pickle.loads(pickle.dumps(decomposer))
    for _ in range(2):
        one, two = np.random.default_rng(7), np.random.default_rng(7)
        for _ in range(20):
            first, second = decomposer(one), other(two)
            assert first.tokens == second.tokens
            assert first.ink.symbols == second.ink.symbols
            for a, b in zip(first.ink.strokes, second.ink.strokes, strict=True):
                np.testing.assert_array_equal(a, b)


def test_held_out_captions_do_not_come_out(expressions: Expressions) -> None:
    free = Decomposer(expressions)
    rng = np.random.default_rng(0)
    seen = [written.tokens for written in (free(rng) for _ in range(200))]
    held = [tokens for tokens in seen if len(tokens) > 3]
    kept = Decomposer(expressions, leakage=(leakage := Leakage.of(held)))
    assert leakage.excluded >= len({tuple(tokens) for tokens in held})
    rng = np.random.default_rng(0)
    assert not any(kept(rng).tokens in held for _ in range(500))


def test_longest(expressions: Expressions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmer.synthesis.decompose.LONGEST", 5)
    short = Decomposer(expressions)
    rng = np.random.default_rng(0)
    assert max(len(short(rng).tokens) for _ in range(300)) <= 5


def test_ink_without_symbols_is_no_material(picture_dataset: Path) -> None:
    with pytest.raises(HmerError, match="nothing to decompose"):
        Decomposer(load_expressions(picture_dataset / "train.parquet"))
