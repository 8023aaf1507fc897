import numpy as np
import pytest

from hmer.errors import HmerError, LatexError
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.font import variants
from hmer.synthesis.render_latex import write_latex


def test_a_hand_writes_the_same_twice_and_hands_differ() -> None:
    one, two, other = (write_latex(r"\frac{a}{b}+x^2", hand) for hand in (7, 7, 8))
    assert one.tokens == r"\frac { a } { b } + x ^ { 2 }".split()
    assert all(np.array_equal(a, b) for a, b in zip(one.ink.strokes, two.ink.strokes, strict=True))
    assert one.ink.bounds() != other.ink.bounds()
    for symbol in one.ink.symbols:
        assert symbol.place is not None and one.tokens[symbol.place] == symbol.token


def test_careful_writing_is_another_layout() -> None:
    sloppy, careful = (write_latex("a+b", 3, careful=careful) for careful in (False, True))
    assert sloppy.ink.bounds() != careful.ink.bounds()


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        (r"\frac{a}{b", r"unbalanced LaTeX: 1 '\{' never closed"),
        ("a}b", "unbalanced LaTeX: the '}' at character 2"),
        (r"a+\heartfelt+\not b+\heartfelt", r"'\\\\heartfelt' '\\\\not'"),
        (r"\frac{a}", "cannot be read"),
        ("", "without symbols"),
        ("a" * 201, "201 tokens, more than 200"),
        ("a^{" * 11 + "b" + "}" * 11, "11 levels deep, more than 10"),
    ],
)
def test_what_cannot_be_written_is_told(latex: str, message: str) -> None:
    with pytest.raises(LatexError, match=message):
        write_latex(latex, 0)


@pytest.mark.parametrize(
    ("latex", "symbols"), [(r"50\%", 3), (r"\mathbb{R}\ni x", 3), (r"\forall x\notin\emptyset:", 5)]
)
def test_signs_that_crohme_lacks(latex: str, symbols: int) -> None:
    bank = GlyphBank.pack([Cutting("x", "ann", variants("x")[0])], {"ann": "alone"})
    for glyphs in (None, bank):
        assert len(write_latex(latex, 1, glyphs).ink.symbols) == symbols


def test_escaped_braces_are_signs() -> None:
    assert r"\{" in write_latex(r"\{ a", 0).tokens


def test_hands_are_numbered_from_zero() -> None:
    with pytest.raises(HmerError, match="numbered from 0"):
        write_latex("a", -1)


def test_what_the_layout_draws_needs_no_glyph() -> None:
    for latex in (
        r"\hat { a } + \overline { b c }",
        r"\binom { n } { k }",
        r"\overset { a } { b }",
    ):
        written = write_latex(latex, 3)
        assert written.tokens == latex.split()
        assert written.ink.strokes
    with pytest.raises(LatexError, match=r"no glyph for '\\\\mathfrak\{x\}'"):
        write_latex(r"\mathfrak { x }", 3)
