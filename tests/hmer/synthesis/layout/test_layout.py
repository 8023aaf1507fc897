from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from hmer.errors import LatexError
from hmer.ink.strokes import Ink
from hmer.latex.tree import Node, parse
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.font import variants
from hmer.synthesis.hands.writer import BankWriter, Writer
from hmer.synthesis.layout.layout import ACCENTS, write

SEEDS = range(12)


class Extent(NamedTuple):
    token: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def ink_of(latex: str, seed: int) -> Ink:
    return write(parse(latex.split()), Writer.draw(seed), np.random.default_rng(seed))


def extents(latex: str, seed: int) -> list[Extent]:
    ink = ink_of(latex, seed)
    found = []
    for symbol in ink.symbols:
        points = np.concatenate([ink.strokes[stroke] for stroke in symbol.strokes])
        found.append(Extent(symbol.token, *points.min(axis=0), *points.max(axis=0)))
    return found


def by_token(latex: str, seed: int) -> dict[str, Extent]:
    return {extent.token: extent for extent in extents(latex, seed)}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_runs_from_left_to_right(seed: int) -> None:
    row = extents("a = 2 b + \\sin c", seed)
    assert [extent.token for extent in row] == ["a", "=", "2", "b", "+", r"\sin", "c"]
    # Drift turns the line a little, so neighbours are compared by their left edges.
    assert all(a.left < b.left for a, b in pairwise(row))


@pytest.mark.parametrize("seed", SEEDS)
def test_scripts(seed: int) -> None:
    sup, sub = by_token("x ^ { 2 }", seed), by_token("x _ { 2 }", seed)
    assert sup["2"].middle < sup["x"].top + 0.25 and sup["2"].left > sup["x"].right - 0.1
    assert sub["2"].middle > sub["x"].bottom - 0.15 and sub["2"].left > sub["x"].right - 0.1
    both = by_token("x _ { 1 } ^ { 2 }", seed)
    assert both["2"].bottom < both["1"].top
    beside = by_token("x 2", seed)
    assert sup["2"].bottom - sup["2"].top < 0.9 * (beside["2"].bottom - beside["2"].top)


@pytest.mark.parametrize("seed", SEEDS)
def test_scripts_of_scripts_stay_legible(seed: int) -> None:
    tower = by_token("a ^ { b ^ { c ^ { d } } }", seed)
    assert tower["d"].bottom - tower["d"].top > 0.3
    assert tower["b"].middle > tower["c"].middle > tower["d"].middle


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latex", ["\\frac { a } { b }", "\\frac { a + 2 + c } { b }"])
def test_fractions(latex: str, seed: int) -> None:
    parts = by_token(latex, seed)
    bar = parts[r"\frac"]
    # A long bar is not quite level, so its middle counts.
    assert parts["a"].bottom < bar.middle < parts["b"].top
    others = [extent for token, extent in parts.items() if token != r"\frac"]
    assert bar.left < min(extent.left for extent in others)
    assert bar.right > max(extent.right for extent in others)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("radicand", ["x", "x ^ { 2 } + y", "\\frac { x } { y }"])
def test_radicals_cover_what_stands_under_them(radicand: str, seed: int) -> None:
    sign, *inside = extents(f"\\sqrt {{ {radicand} }}", seed)
    assert sign.token == r"\sqrt"
    for extent in inside:
        assert sign.top < extent.top
        assert sign.left < extent.left and sign.right > extent.right - 0.1
    assert sign.bottom > max(extent.bottom for extent in inside) - 0.25


@pytest.mark.parametrize("seed", SEEDS)
def test_a_root_index_stands_over_the_hook(seed: int) -> None:
    parts = by_token("\\sqrt [ 3 ] { x + 1 }", seed)
    assert parts["3"].right < parts["x"].left
    assert parts["3"].bottom < parts[r"\sqrt"].bottom - 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_stand_above_and_below(seed: int) -> None:
    parts = by_token("\\int \\limits _ { 0 } ^ { 1 } x", seed)
    sign = parts[r"\int"]
    assert parts["1"].bottom < sign.top < sign.bottom < parts["0"].top
    limit = by_token("\\lim _ { n } x", seed)
    assert limit["n"].top > limit[r"\lim"].bottom - 0.05
    beside = by_token("\\int _ { 0 } ^ { 1 } x", seed)
    assert beside["1"].middle < beside[r"\int"].middle < beside["0"].middle
    assert beside["1"].right > beside[r"\int"].right


@pytest.mark.parametrize("seed", SEEDS)
def test_brackets_grow_over_their_content(seed: int) -> None:
    plain = extents("( x )", seed)
    tall = extents("( \\frac { a } { \\frac { b } { c } } )", seed)
    assert tall[0].bottom - tall[0].top > 1.2 * (plain[0].bottom - plain[0].top)
    for bracket in (tall[0], tall[-1]):
        # A drifting line tilts the far bracket, so a little slack.
        assert bracket.top < min(extent.top for extent in tall[1:-1]) + 0.15
        assert bracket.bottom > max(extent.bottom for extent in tall[1:-1]) - 0.15


@pytest.mark.parametrize(
    "latex",
    [
        "{ x ^ { 2 } } ^ { 3 } + _ { n } C",
        "] 0 , 1 (",
        "| x | - | \\frac { 1 } { 2 } |",
        "\\sqrt { }",
        "\\frac { } { 2 } !",
        "\\sum _ { n = 1 } ^ { \\infty } \\frac { 1 } { n ^ { 2 } } = \\frac { \\pi } { 6 }",
    ],
)
def test_symbols_own_every_stroke_exactly_once(latex: str) -> None:
    for seed in SEEDS:
        ink = ink_of(latex, seed)
        owned = [stroke for symbol in ink.symbols for stroke in symbol.strokes]
        assert owned == list(range(len(ink.strokes)))
        left, top, _, _ = ink.bounds()
        assert abs(left) < 1e-6 and abs(top) < 1e-6
        assert all(np.isfinite(stroke).all() for stroke in ink.strokes)


def test_the_same_seed_writes_the_same_ink() -> None:
    first, second, other = (ink_of("\\sqrt { x } + 1", seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first.strokes, second.strokes, strict=True))
    assert first.bounds() != other.bounds()


def test_what_cannot_be_written_is_said() -> None:
    writer, rng = Writer.draw(0), np.random.default_rng(0)
    with pytest.raises(LatexError, match="nosuch"):
        write((Node(r"\nosuch"),), writer, rng)
    with pytest.raises(LatexError, match="without symbols"):
        write((), writer, rng)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("command", sorted(ACCENTS))
def test_accents_stand_over_or_under_what_they_belong_to(command: str, seed: int) -> None:
    letter, accent = extents(f"{command} {{ x }}", seed)
    assert (letter.token, accent.token) == ("x", command)
    if ACCENTS[command].under:
        assert accent.top > letter.bottom
    else:
        assert accent.bottom < letter.top
    assert accent.left < (letter.left + letter.right) / 2 + 0.2
    assert accent.right > (letter.left + letter.right) / 2 - 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_long_accents_are_as_wide_as_what_they_cover(seed: int) -> None:
    *letters, line = extents(r"\overline { a + b c }", seed)
    covered = letters[-1].right - letters[0].left
    assert line.right - line.left > 0.7 * covered
    assert extents(r"\bar { a + b c }", seed)[-1].right - line.left < covered


@pytest.mark.parametrize("seed", SEEDS)
def test_over_and_under_a_symbol(seed: int) -> None:
    equals, a = extents(r"\overset { a } { = }", seed)
    assert (equals.token, a.token) == ("=", "a") and a.bottom < equals.top
    equals, a = extents(r"\underset { a } { = }", seed)
    assert a.top > equals.bottom


@pytest.mark.parametrize("seed", SEEDS)
def test_binomials_stand_in_parentheses_of_their_own(seed: int) -> None:
    ink = ink_of(r"\binom { n } { k }", seed)
    signs, n, k = extents(r"\binom { n } { k }", seed)
    assert [symbol.place for symbol in ink.symbols] == [0, 2, 5]
    assert n.bottom < k.top
    assert signs.left < min(n.left, k.left) and signs.right > max(n.right, k.right)


def test_letters_of_other_alphabets_come_from_the_bank() -> None:
    tokens = r"\mathbb { R } + x".split()
    with pytest.raises(LatexError, match=r"no glyph for '.*mathbb\{R\}'"):
        write(parse(tokens), Writer.draw(0), np.random.default_rng(0))
    bank = GlyphBank.pack([Cutting(r"\mathbb{R}", "ann", variants("R")[0])], {"ann": "alone"})
    hand = BankWriter.follow(bank, "ann", 0, 1.0, Counter())
    ink = write(parse(tokens), hand, np.random.default_rng(0))
    assert [(symbol.token, symbol.place) for symbol in ink.symbols] == [
        (r"\mathbb{R}", 0),
        ("+", 4),
        ("x", 5),
    ]
    with pytest.raises(LatexError, match="around a single letter only"):
        write(parse(r"\mathbb { R S }".split()), hand, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(6))
def test_cells_stand_in_lines_and_columns_between_tall_brackets(seed: int) -> None:
    boxes = by_token(r"\{ \matrix { a & b \\ c & d }", seed)
    assert boxes["a"].bottom < boxes["c"].top and boxes["b"].bottom < boxes["d"].top
    assert boxes["a"].right < boxes["b"].left and boxes["c"].right < boxes["d"].left
    brace = boxes[r"\{"]
    assert brace.left < min(boxes["a"].left, boxes["c"].left)
    assert brace.top < boxes["a"].bottom and brace.bottom > boxes["c"].top


@pytest.mark.parametrize("seed", SEEDS)
def test_empty_scripts_on_nothing_write_nothing(seed: int) -> None:
    assert [one.token for one in extents("a { } ^ { } b", seed)] == ["a", "b"]
