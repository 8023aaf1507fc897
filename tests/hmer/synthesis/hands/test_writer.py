from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.font import BUILT, WORDS
from hmer.synthesis.hands.writer import BankWriter, Writer

STRUCTURE = ("^", "_", "{", "}", r"\limits")


def generator(number: int = 0) -> np.random.Generator:
    return np.random.default_rng(number)


def test_every_written_token_can_be_signed() -> None:
    writer = Writer.draw(1)
    for token in vocabulary("wap").tokens:
        if token not in (*STRUCTURE, *BUILT):
            glyph = writer.sign(token, generator())
            assert glyph and all(np.isfinite(stroke).all() for stroke in glyph)


def test_a_seed_is_a_hand() -> None:
    assert Writer.draw(5) == Writer.draw(5)
    assert Writer.draw(5) != Writer.draw(6)
    first, second = (Writer.draw(5).sign("x", generator(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_one_hand_varies_less_than_two_hands_differ() -> None:
    def shape(seed: int, chance: int) -> np.ndarray:
        points = np.concatenate(Writer.draw(seed).sign("+", generator(chance)))
        return np.array([*points.min(axis=0), *points.max(axis=0)])

    within = [np.abs(shape(s, 1) - shape(s, 2)).max() for s in range(30)]
    between = [np.abs(shape(s, 1) - shape(s + 100, 2)).max() for s in range(30)]
    assert np.mean(within) < 0.7 * np.mean(between)
    assert min(within) > 0, "no hand repeats itself exactly"


def test_writing_another_sign_first_changes_nothing() -> None:
    fresh, used = Writer.draw(9), Writer.draw(9)
    used.sign("k", generator(7))
    a, b = (writer.sign("y", generator(1)) for writer in (fresh, used))
    assert all(np.array_equal(s, t) for s, t in zip(a, b, strict=True))


@pytest.mark.parametrize("word", WORDS)
def test_words_run_from_left_to_right_without_overlap_of_letters(word: str) -> None:
    writer = Writer.draw(2)
    glyph = writer.sign(word, generator())
    letters = [len(writer.sign(letter, generator())) for letter in word[1:]]
    assert len(glyph) == sum(letters)
    cuts = np.cumsum([0, *letters])
    spans = [np.concatenate(glyph[a:b])[:, 0] for a, b in pairwise(cuts)]
    assert all(a.max() < b.min() for a, b in pairwise(spans))


def test_a_line_keeps_its_ends_within_the_tremor() -> None:
    writer = Writer.draw(4)
    line = writer.line([(0.0, 0.0), (3.0, 0.0)], generator())
    assert np.abs(line[0]).max() < 0.15 and np.abs(line[-1] - (3, 0)).max() < 0.15
    assert np.abs(line[:, 1]).max() > 0, "drawn by hand, not with a ruler"


def test_primes_are_as_long_as_hands_write_them() -> None:
    short = (np.array([[0.0, -1.3], [0.05, -1.2]]),)
    bank = GlyphBank.pack([Cutting(r"\prime", "w", short)], {"w": ""})
    writer = BankWriter.follow(bank, "w", 0, 1.0, Counter())
    lengths = []
    for seed in range(40):
        points = np.concatenate(writer.sign(r"\prime", np.random.default_rng(seed)))
        assert -1.6 < points[:, 1].mean() < -0.9
        lengths.append(np.hypot(*np.ptp(points, axis=0)))
    assert min(lengths) > 0.3 and max(lengths) < 1.7 and max(lengths) > 1.5 * min(lengths)
