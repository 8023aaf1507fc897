from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.inkml import read_inkml
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.alignment import place_symbols, stroke_places, symbols_of
from hmer.latex.dialect import normalise


def ink(*symbols: tuple[str, float]) -> Ink:
    """One stroke a symbol, at the given x."""
    strokes = tuple(np.array([[x, 0], [x + 0.5, 1]], np.float32) for _, x in symbols)
    return Ink(strokes, tuple(Symbol(token, (i,)) for i, (token, _) in enumerate(symbols)))


def mathml(caption: str) -> str:
    """Leaves named by number, for captions of symbols and one-symbol scripts."""
    row, number = "", 0
    for token in caption.split():
        if token in "{}":
            continue
        if token in "^_":
            base = row[row.rindex("<mi") :]
            row = row[: -len(base)] + ("<msup>" if token == "^" else "<msub>") + base + "@"
            continue
        leaf = f'<mi xml:id="{number}">{token}</mi>'
        number += 1
        if row.endswith("@"):
            row = row[:-1] + leaf + ("</msup>" if "<msup>" in row[-90:] else "</msub>")
        else:
            row += leaf
    return f"<math>{row}</math>"


def places(found: Ink) -> list[int | None]:
    return [symbol.place for symbol in found.symbols]


def test_identifiers_decide_whatever_the_order() -> None:
    tokens = "x ^ { x } + x".split()
    drawn = ink(("x", 5), ("+", 3), ("x", 1), ("x", 0))
    placed = place_symbols(drawn, ("3", "2", "1", "0"), mathml("x ^ { x } + x"), tokens)
    assert placed.problem is None
    assert places(placed.ink) == [6, 5, 3, 0]
    assert placed.ink.strokes is drawn.strokes


def test_the_caption_decides_the_spelling() -> None:
    drawn = ink(("\\lt", 0), ("-", 1), ("x", 1), ("y", 1), (".", 2))
    xml = (
        '<math><mo xml:id="a">\\lt</mo><mfrac xml:id="f"><mi xml:id="x">x</mi>'
        '<mi xml:id="y">y</mi></mfrac><mo xml:id="d">.</mo></math>'
    )
    tokens = r"< \frac { x } { y } \cdot".split()
    placed = place_symbols(drawn, ("a", "f", "x", "y", "d"), xml, tokens)
    assert placed.problem is None
    assert [s.token for s in placed.ink.symbols] == ["<", r"\frac", "x", "y", r"\cdot"]


def test_pieces_of_one_sign_are_joined() -> None:
    drawn = ink((".", 0), (".", 1), (".", 2), ("x", 3))
    placed = place_symbols(drawn, ("0", "1", "2", "3"), mathml(". . . x"), [r"\cdots", "x"])
    assert placed.problem is None
    assert placed.ink.symbols == (Symbol(r"\cdots", (0, 1, 2), 0), Symbol("x", (3,), 1))


def test_limits_and_script_order_are_no_disagreement() -> None:
    xml = (
        '<math><munderover><mo xml:id="s">\\sum</mo><mi xml:id="i">i</mi><mi xml:id="n">n</mi>'
        "</munderover></math>"
    )
    for caption in (r"\sum _ { i } ^ { n }", r"\sum \limits ^ { n } _ { i }"):
        tokens = caption.split()
        drawn = ink(("\\sum", 0), ("i", 0), ("n", 0))
        placed = place_symbols(drawn, ("s", "i", "n"), xml, tokens)
        assert [tokens[symbol.place or 0] for symbol in placed.ink.symbols] == [r"\sum", "i", "n"]


@pytest.mark.parametrize(
    ("caption", "symbols", "expected"),
    [
        ("a + b", [("b", 2), ("+", 1), ("a", 0)], [2, 1, 0]),
        ("a + a", [("a", 2), ("+", 1), ("a", 0)], [2, 1, 0]),
        (r"\frac { a } { b }", [("a", 0), ("-", 0), ("b", 0)], [2, 0, 5]),
    ],
)
def test_without_mathml_order_decides(
    caption: str, symbols: list[tuple[str, float]], expected: list[int]
) -> None:
    placed = place_symbols(ink(*symbols), ("",) * len(symbols), None, caption.split())
    assert placed.problem is None
    assert places(placed.ink) == expected


@pytest.mark.parametrize(
    ("caption", "symbols", "xml", "reason"),
    [
        ("a ^ { a }", [("a", 0), ("a", 1)], None, "not clear which a"),
        (r"\frac { a } { a }", [("a", 0), ("-", 0), ("a", 0)], None, "not clear which a"),
        ("a + b", [("a", 0), ("+", 1), ("c", 2)], None, "the caption has . times"),
        ("x ^ { x }", [("x", 0), ("x", 1)], mathml("x x"), "elsewhere in the MathML"),
        ("x ^ { x }", [("x", 0), ("x", 1)], mathml("x ^ { y }"), "where the MathML has y"),
        ("x x", [("x", 0), ("y", 1)], mathml("x x"), "annotated as y"),
        ("x ^ {", [("x", 0)], None, "no tree"),
        ("x", [], None, "no symbols"),
    ],
)
def test_disagreement_places_nothing(
    caption: str, symbols: list[tuple[str, float]], xml: str | None, reason: str
) -> None:
    names = tuple(str(i) for i in range(len(symbols)))
    drawn = ink(*symbols)
    placed = place_symbols(drawn, names, xml, caption.split())
    assert placed.problem is not None
    assert re.search(reason, placed.problem), placed.problem
    assert placed.ink.symbols == drawn.symbols


def test_broken_mathml_is_as_good_as_none() -> None:
    placed = place_symbols(ink(("x", 0), ("y", 1)), ("0", "1"), "<math>", ["x", "y"])
    assert places(placed.ink) == [0, 1]


def test_stray_strokes_are_a_problem() -> None:
    drawn = ink(("x", 0), ("y", 1))
    loose = Ink((*drawn.strokes, drawn.strokes[0]), drawn.symbols)
    assert "no symbol" in (place_symbols(loose, ("", ""), None, ["x", "y"]).problem or "")
    shared = Ink(drawn.strokes, (Symbol("x", (0, 1)), Symbol("y", (1,))))
    assert "several" in (place_symbols(shared, ("", ""), None, ["x", "y"]).problem or "")


@pytest.mark.crohme
def test_nearly_all_of_crohme_is_placed() -> None:
    folder = os.environ.get("CROHME_DIR")
    if not folder:
        pytest.skip("CROHME_DIR is not set")
    from hmer.ingest.archive import read_members

    package = next(Path(folder).glob("train*"), None)
    if package is None:
        pytest.skip("CROHME_DIR holds no training data")
    whole = total = 0
    for member in islice(read_members(package, ".inkml", "test"), 0, 1500, 5):
        try:
            document = read_inkml(member.data, member.name)
            tokens = normalise(document.latex)
        except HmerError:
            continue
        placed = place_symbols(document.ink, document.symbol_ids, document.mathml, tokens)
        total += 1
        whole += placed.problem is None
        for symbol in placed.ink.symbols if placed.problem is None else ():
            assert symbol.place is not None
            assert tokens[symbol.place] == symbol.token
    assert whole > 0.95 * total > 100


def dots(count: int, *symbols: Symbol) -> Ink:
    return Ink((np.zeros((1, 2), np.float32),) * count, symbols)


@pytest.mark.parametrize(
    ("ink", "caption", "expected"),
    [
        (dots(2, Symbol("x", (1,), 0), Symbol("y", (0,), 1)), "x y", [1, 0]),
        (dots(2, Symbol("x", (0, 1), 0)), "x", [0, 0]),
        (dots(2, Symbol("x", (0,), 0)), "x", None),  # a stroke without owner
        (dots(1, Symbol("x", (0,), 0)), "x y", None),  # a token without ink
        (dots(1, Symbol("x", (0,))), "x", None),
        (dots(1, Symbol("x", (0,), 0)), "y", None),
        (dots(1, Symbol("x", (0,), 5)), "x", None),
        (dots(1, Symbol("x", (0,), 0), Symbol("y", (0,), 1)), "x y", None),
        (dots(1, Symbol("x", (0,), 0)), "x {", None),
    ],
)
def test_stroke_places(ink: Ink, caption: str, expected: list[int] | None) -> None:
    assert stroke_places(ink, caption.split()) == expected


def test_symbols_by_place() -> None:
    assert symbols_of([2, 0, 2], "x + y".split()) == (
        Symbol("x", (1,), 0),
        Symbol("y", (0, 2), 2),
    )
