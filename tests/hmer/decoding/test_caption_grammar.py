"""What the constrained search may write is what the parser accepts, in both directions."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from hmer.decoding.beam import Direction, search_directions
from hmer.decoding.caption_grammar import caption_grammar
from hmer.decoding.constraint import Constraint
from hmer.errors import LatexError
from hmer.latex.tree import parse
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.step import MemoryStep

SMALL = Vocabulary("small", ["a", "^", "_", "{", "}", "[", "]", "\\frac", "\\sqrt", "\\limits"])
PLENTY = 10_000


@cache
def parses(tokens: tuple[str, ...]) -> bool:
    try:
        parse(tokens)
    except LatexError:
        return False
    return True


def walk(constraint: Constraint, numbers: list[int], left: int) -> bool:
    """Whether a constraint lets a whole sequence through, its stop (the last number) included."""
    state = constraint.start()
    for i, number in enumerate(numbers):
        if not constraint.allowed(state, left - i)[number]:
            return False
        if i < len(numbers) - 1:
            state = constraint.advance(state, number)
    return True


def through(words: Vocabulary, tokens: tuple[str, ...], left: int) -> tuple[bool, bool]:
    """Whether each direction lets a caption through, with room for `left` tokens."""
    forward, backward = caption_grammar(words)
    numbers = words.encode(tokens)
    return (
        walk(forward, [*numbers, words.eos], left),
        walk(backward, [*numbers[::-1], words.sos], left),
    )


@pytest.mark.parametrize("length", range(5))
def test_every_short_sequence_is_judged_as_the_parser_does(length: int) -> None:
    for tokens in itertools.product(SMALL.tokens, repeat=length):
        expected = parses(tokens)
        assert through(SMALL, tokens, PLENTY) == (expected, expected), tokens
        assert through(SMALL, tokens, length) == (expected, expected), tokens


def sample(words: Vocabulary, way: int, limit: int, rng: np.random.Generator) -> tuple[str, ...]:
    """A sequence that a direction lets through, in reading order; structure is likelier."""
    constraint = caption_grammar(words)[way]
    stop = (words.eos, words.sos)[way]
    state, numbers = constraint.start(), []
    plain = words.encode(t for t in words.tokens if t.isalnum())
    for left in range(limit, -1, -1):
        weights = constraint.allowed(state, left).astype(float)
        weights[plain] *= 0.1
        weights[stop] *= 0.1
        number = int(rng.choice(len(weights), p=weights / weights.sum()))
        if number == stop:
            break
        numbers.append(number)
        state = constraint.advance(state, number)
    else:
        raise AssertionError("nothing but the stop is allowed when no token is left")
    return tuple(words.decode(numbers[::-1] if way else numbers))


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("name", ["small", "wap", "comer", "can"])
def test_random_walks_parse_and_the_other_direction_agrees(name: str, way: int) -> None:
    words = SMALL if name == "small" else vocabulary(name)
    rng = np.random.default_rng(way)
    deepest = 0
    for _ in range(60):
        limit = int(rng.integers(0, 60))
        tokens = sample(words, way, limit, rng)
        assert len(tokens) <= limit
        parse(tokens)
        assert through(words, tokens, PLENTY) == (True, True), tokens
        deepest = max(deepest, len(tokens))
    assert deepest > 40


CASES = {
    r"\frac { a } { a } ^ { a }": True,
    r"\frac { a } ^ { a } { a }": False,
    r"\sqrt [ a ] { a } _ { a }": True,
    r"\sqrt [ \sqrt [ a ] { a } ] { a }": True,
    r"\sqrt [ a ] a ] { a }": False,
    r"\sqrt [ a": False,
    r"\sqrt [ ^ { a } ] { a }": True,
    r"\sqrt [ \limits ^ { a } ] { a }": False,
    r"[ \limits ^ { a } ] { a }": True,
    r"\sqrt [ { ] } ] { a }": True,
    r"\sqrt [ a ] ^ { a } { a }": False,
    r"a ] { a }": True,
    r"^ { a } _ { a } a": True,
    r"^ { a } _ { a } ^ { a }": False,
    r"a ^ { a } { } ^ { a } \frac { } { } { }": True,
    r"a \limits ^ { a } _ { a } { a }": True,
    r"a ^ { a } \limits _ { a }": False,
    r"\frac { a } { a } \limits _ { a }": False,
    r"{ a } \limits _ { a }": False,
}


@pytest.mark.parametrize("caption", CASES)
def test_by_hand(caption: str) -> None:
    tokens = tuple(caption.split())
    assert parses(tokens) == CASES[caption]
    assert through(SMALL, tokens, PLENTY) == (CASES[caption],) * 2
    assert through(SMALL, tokens, len(tokens)) == (CASES[caption],) * 2


def test_depth_is_limited_as_the_parser_does() -> None:
    for depth, fine in ((64, True), (65, False)):
        tokens = ("{",) * depth + ("}",) * depth
        assert parses(tokens) == fine
        assert through(SMALL, tokens, PLENTY) == (fine, fine)
    inside = ("\\sqrt", "[", *["{"] * 63, *["}"] * 63, "]", "{", "}")
    assert parses(inside) and through(SMALL, inside, PLENTY) == (True, True)
    inside = ("\\sqrt", "[", *["{"] * 64, *["}"] * 64, "]", "{", "}")
    assert not parses(inside) and through(SMALL, inside, PLENTY) == (False, False)


def test_without_braces_only_symbols_are_written() -> None:
    words = Vocabulary("flat", ["a", "b", "^", "\\frac"])
    for constraint in caption_grammar(words):
        allowed = constraint.allowed(constraint.start(), 9)
        assert set(allowed.nonzero()[0].tolist()) == set(words.encode("ab")) | {constraint.stop}


class Wild:
    """A model of random opinions that loves structure and hates to stop."""

    def __init__(self, words: Vocabulary, seed: int, stop: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        size = len(words)
        self.table = 3.0 * torch.randn(2, 97, size, generator=generator)
        love = [t for t in words.tokens if t in "^_{}[]" or t in ("\\frac", "\\sqrt", "\\limits")]
        self.table[..., words.encode(love)] += 3.0
        self.table[..., [words.sos, words.eos]] = stop

    def step(
        self, tokens: Tensor, rows: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        mixed = past[0] * 31 + tokens if past else tokens
        return self.table[rows[:, None], mixed % 97], (mixed,)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("limit", [1, 7, 40])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_model_says_the_answer_parses(seed: int, limit: int, beam: int) -> None:
    words = vocabulary("wap")
    forward, backward = caption_grammar(words)
    directions = [
        Direction(words.sos, words.eos, (words.pad, words.sos), forward),
        Direction(words.eos, words.sos, (words.pad, words.eos), backward),
    ]
    for stop in (-9.0, 2.0):
        step = MemoryStep(Wild(words, seed, stop).step, torch.arange(2))
        free = [Direction(d.start, d.stop, d.banned) for d in directions]
        broken = 0
        for ways in (directions, free):
            found = search_directions(step, 2, ways, beam=beam, max_length=limit)
            for row in found:
                for way, hypotheses in enumerate(row):
                    assert hypotheses
                    for h in hypotheses:
                        tokens = words.decode(h.tokens[::-1] if way else h.tokens)
                        if ways is directions:
                            parse(tokens)
                            assert h.log_probability > -float("inf")
                        else:
                            broken += not parses(tuple(tokens))
        assert broken > 0 or limit == 1 or stop > 0


def test_one_direction_cannot_be_constrained_alone() -> None:
    words = vocabulary("wap")
    forward, _ = caption_grammar(words)
    mixed = [Direction(1, 2, (0, 1), forward), Direction(2, 1, (0, 2))]
    with pytest.raises(ValueError, match="constraint"):
        search_directions(
            MemoryStep(Wild(words, 0, 0.0).step, torch.arange(1)), 1, mixed, beam=1, max_length=2
        )
