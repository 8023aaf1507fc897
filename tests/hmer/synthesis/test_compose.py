import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.codec import pack, unpack
from hmer.ink.scale import symbol_unit
from hmer.ink.strokes import Ink
from hmer.latex.tree import CELL, LINE, MATRIX, Node, Relation, Row, cells, parse, serialise, walk
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import LONGEST, Written
from hmer.synthesis.compose import ComposeConfig, Composer, Listed, Matrices, Varied, alone
from hmer.synthesis.editable_ink import faults, parts_of
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig

GRAMMAR = Grammar(GrammarConfig(max_tokens=30, max_depth=3))


class Fixed:
    def __init__(self, row: Row) -> None:
        self.row = row

    def sample(self, rng: np.random.Generator) -> Row:
        return self.row


@pytest.fixture(scope="module")
def bank(small_dataset: Path) -> GlyphBank:
    return cut_bank(read_training_inks(small_dataset / "train.parquet"))


def some(composer: Composer, count: int) -> list[Written]:
    made = [composer(np.random.default_rng([4, n])) for n in range(count)]
    return [written for written in made if written is not None]


def same(one: Ink, two: Ink) -> bool:
    return one.symbols == two.symbols and all(
        np.array_equal(a, b) for a, b in zip(one.strokes, two.strokes, strict=True)
    )


def test_labels_and_ink_agree(bank: GlyphBank) -> None:
    made = some(Composer(bank, GRAMMAR), 120)
    assert len(made) == 120
    wrong = 0
    for written in made:
        assert written.kind == "compose"
        assert serialise(parse(written.tokens)) == written.tokens
        assert not vocabulary("wap").unknown(written.tokens)
        for symbol in written.ink.symbols:
            assert symbol.place is not None and written.tokens[symbol.place] == symbol.token
        owned = sorted(n for symbol in written.ink.symbols for n in symbol.strokes)
        assert owned == list(range(len(written.ink.strokes))), "every stroke has one owner"
        assert same(unpack(pack(written.ink)), unpack(pack(unpack(pack(written.ink)))))
        wrong += any(faults(parts_of(written.ink, written.tokens) or ()))
    assert wrong <= 0.08 * len(made), "hands may be sloppy, but captions must stay readable"


def test_ink_is_normalised(bank: GlyphBank) -> None:
    units = [symbol_unit(written.ink) for written in some(Composer(bank, GRAMMAR), 60)]
    assert np.median(units) == pytest.approx(1.0, abs=0.1)


def test_the_same_state_writes_the_same_also_after_pickling(bank: GlyphBank) -> None:
    composer = Composer(bank, GRAMMAR)
    composer(np.random.default_rng(0))
    again = pickle.loads(pickle.dumps(composer))
    for seed in range(5):
        one, two = (c(np.random.default_rng(seed)) for c in (composer, again))
        assert one is not None and two is not None
        assert one.tokens == two.tokens and same(one.ink, two.ink)


def test_a_symbol_the_bank_lacks_comes_from_the_font_and_is_counted(bank: GlyphBank) -> None:
    assert r"\forall" not in bank
    composer = Composer(bank, Fixed((Node(r"\forall"), Node(r"\forall"), Node("2"))))
    written = composer(np.random.default_rng(0))
    assert written is not None and len(written.ink.symbols) == 3
    assert composer.missing == {r"\forall": 2}


def test_an_empty_bank_is_refused() -> None:
    nothing = np.zeros(0, np.int32)
    empty = GlyphBank((), (), (), np.zeros((0, 2), np.int16), nothing, nothing, nothing, nothing)
    with pytest.raises(HmerError, match="glyph bank is empty"):
        Composer(empty, GRAMMAR)


def test_what_cannot_be_written_gives_nothing(bank: GlyphBank) -> None:
    composer = Composer(bank, Fixed((Node(r"\heartsuit"),)))
    assert composer(np.random.default_rng(0)) is None


def test_listed_expressions_come_at_their_share() -> None:
    a, b, other = (parse([token]) for token in ("a", "b", "c"))
    rng = np.random.default_rng(0)
    drawn = Counter(Listed([a, b], 0.5, Fixed(other)).sample(rng) for _ in range(600))
    assert 250 < drawn[other] < 350 and min(drawn[a], drawn[b]) > 100
    assert {Listed([a, b]).sample(rng) for _ in range(30)} == {a, b}


def test_listed_expressions_come_as_long_as_those_of_training() -> None:
    rng = np.random.default_rng(0)
    rows = [parse(["a"] * length) for length in (2, 2, 2, 9, 40)]
    listed = Listed(rows, lengths=[2] * 30 + [9, 10] * 15 + [100])
    lengths = Counter(len(listed.sample(rng)) for _ in range(600))
    assert set(lengths) == {2, 9} and lengths[2] == pytest.approx(300, rel=0.15)
    none_alike = Listed(rows, lengths=[1000])  # then all come equally often
    assert {len(none_alike.sample(rng)) for _ in range(60)} == {2, 9, 40}


def test_a_bank_writer_keeps_to_one_hand(bank: GlyphBank) -> None:
    composer = Composer(bank, GRAMMAR)
    hands = {composer.hand(np.random.default_rng(seed)).source for seed in range(60)}
    assert hands <= set(bank.writers) and len(hands) > 5


def test_single_symbols_are_each_token_of_the_bank_as_often() -> None:
    line = (np.array([[0.0, -1.0], [0.5, 0.0]]),)
    classes = ["a", "b", r"\cdot", *(f"\\mathbb{{{letter}}}" for letter in "ABCDEFGHIJ")]
    bank = GlyphBank.pack([Cutting(name, "w", line) for name in classes], {"w": ""})
    composer = Composer(bank, Listed([parse(["a", "b"])]), ComposeConfig(single=0.9))
    rng = np.random.default_rng(0)
    written = [found.tokens for _ in range(300) if (found := composer(rng))]
    first = Counter(tokens[0] for tokens in written if len(tokens) != 2)
    assert len(written) == 300 and set(first) == {"a", "b", "\\mathbb"}
    assert min(first.values()) > 60
    assert {tokens[2] for tokens in written if len(tokens) == 4} == set("ABCDEFGHIJ")


def test_matrices_have_lines_of_equal_length_and_known_cells() -> None:
    short, long = "x + y".split(), "a + b + c + d + e + f".split()
    matrices = Matrices([parse(short), parse(long), parse(r"\matrix { a \\ b }".split())])
    assert matrices.short == [short]
    seen: Counter[tuple[int, int]] = Counter()
    for n in range(300):
        row = matrices.sample(np.random.default_rng(n))
        assert len(serialise(row)) <= LONGEST and serialise(parse(serialise(row))) == serialise(row)
        (matrix,) = [node for node in row if node.token == MATRIX]
        lines = cells(matrix.child(Relation.INSIDE) or ())
        (columns,) = {len(line) for line in lines}
        seen[len(lines), columns] += 1
        assert all(serialise(cell) == short or len(cell) < 3 for line in lines for cell in line)
    assert (1, 1) not in seen and seen[2, 2] > 30


def test_a_matrix_is_written_cell_by_cell(bank: GlyphBank) -> None:
    composer = Composer(bank, GRAMMAR, ComposeConfig(matrices=1.0))
    for written in some(composer, 10):
        assert MATRIX in written.tokens
        signs = [t for t in written.tokens if t not in ("{", "}", MATRIX, CELL, LINE)]
        assert Counter(symbol.token for symbol in written.ink.symbols) == Counter(signs)


def test_likely_symbols_are_written_alone_more_often(bank: GlyphBank) -> None:
    captions = [parse("1 + 1".split())] * 5000
    composer = Composer(bank, GRAMMAR, ComposeConfig(single=1.0), captions)
    found = Counter(written.tokens[0] for written in some(composer, 600))
    others = [count for token, count in found.items() if token not in ("1", "+")]
    assert min(found["1"], found["+"]) > 1.7 * np.mean(others)


def test_of_two_cases_of_one_shape_the_likelier_one_is_written_alone_more_often() -> None:
    line = (np.array([[0.0, -1.0], [0.5, 0.0]]),)
    bank = GlyphBank.pack([Cutting(name, "w", line) for name in "xXaA"], {"w": ""})
    captions = [parse("x + a".split())] * 99
    composer = Composer(bank, GRAMMAR, ComposeConfig(single=1.0), captions)
    found = Counter(written.tokens[0] for written in some(composer, 400))
    assert found["x"] > 5 * found["X"] and found["a"] < 3 * found["A"]


def test_what_looks_like_a_likelier_symbol_is_alone_a_tenth_as_often() -> None:
    groups, shares = alone(["a", "\\cdot", "\\mathbb{A}", "\\mathbb{B}"], [["a"] * 255])
    assert groups == [["a"], ["\\cdot"], ["\\mathbb{A}", "\\mathbb{B}"]]
    assert shares.tolist() == [pytest.approx(256**0.125), pytest.approx(0.1), pytest.approx(1)]


def test_rarer_symbols_of_the_same_role_and_accents_are_put_in() -> None:
    classes = [
        *"xab+=(",
        r"\oplus",
        r"\subset",
        r"\coprod",
        r"\Omega",
        r"\mathbb{R}",
        r"\mathbb{C}",
    ]
    row = parse(r"\frac { x _ { a } } { 2 } + ( b ) = \sum _ { a b } \sin x".split())
    vary = Varied(
        [*classes, r"\frac", LINE, CELL], [row, parse(r"\vec { x } \overline { x }".split())]
    )
    rng = np.random.default_rng(0)
    found = [vary(row, rng) for _ in range(3000)]
    written = Counter(token for tree in found for token in serialise(tree))
    marks = r"\frac \sin \sum \coprod \subset \oplus \vec \overline + = ( ) { } _"
    assert set(written) == {*marks.split(), *r"\Omega \mathbb R C x a b 2".split()}
    letters = {x: written[x] for x in (r"\Omega", "R", "C")}
    assert letters["R"] + letters["C"] == pytest.approx(letters[r"\Omega"], rel=0.2)
    assert written[r"\subset"] == pytest.approx(0.5 / 2 * 3000, rel=0.2)  # or `=` again
    assert written[r"\vec"] == pytest.approx(0.25 * 6 * 3000, rel=0.1)
    assert written[r"\overline"] == pytest.approx(0.5 * 3000, rel=0.1)
    vary = Varied([*classes, r"\frac"], [row, parse(r"\binom { a } { b }".split())])
    written = Counter(token for _ in range(1000) for token in serialise(vary(row, rng)))
    assert written[r"\binom"] == pytest.approx(0.25 * 1000, rel=0.2)
    long = [n for tree in found for n in walk(tree) if n.token == r"\overline"]
    assert {len(n.child(Relation.INSIDE) or ()) for n in long} == {2}
    for tree in found[:200]:
        assert parse(serialise(tree)) == tree
        assert [n.token for n in walk(tree)].count("2") == 1
    plain = Varied(classes, [row])
    assert r"\vec" not in {n.token for _ in range(100) for n in walk(plain(row, rng))}


def test_varied_expressions_come_at_their_share(bank: GlyphBank) -> None:
    row = parse("x + x + x + x + x + x + x + x".split())
    composer = Composer(bank, Listed([row]), ComposeConfig(varied=0.5), [row])
    rng = np.random.default_rng(0)
    same = [(written := composer(rng)) and written.tokens == serialise(row) for _ in range(200)]
    assert 0.4 < np.mean([bool(one) for one in same]) < 0.6
