r"""Compact LaTeX says the same as the tokens, and MathML shows their signs."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.latex.dialect import normalise
from hmer.latex.mathml import mathml, named_mathml, read_mathml
from hmer.latex.spellings import sign
from hmer.latex.tree import serialise
from hmer.latex.typed import compact
from hmer.latex.vocabulary import vocabulary


@pytest.mark.parametrize(
    ("tokens", "typed"),
    [
        (r"\frac { a } { b }", r"\frac{a}{b}"),
        ("x ^ { 2 }", "x^2"),
        ("x _ { 1 0 } ^ { n }", "x_{10}^n"),
        (r"\alpha x", r"\alpha x"),
        (r"\alpha \beta", r"\alpha\beta"),
        (r"\alpha + 1 = - 2", r"\alpha + 1 = -2"),
        (r"\sqrt [ 3 ] { 2 }", r"\sqrt[3]{2}"),
        (r"x ^ { \frac { 1 } { 2 } }", r"x^{\frac{1}{2}}"),
        (r"\sum \limits _ { i = 1 } ^ { n } i", r"\sum\limits_{i = 1}^n i"),
        (r"e ^ { - x }", "e^{-x}"),
        (r"x ^ { \alpha } y", r"x^\alpha y"),
        ("x ^ { 2 } y + x _ { i } \\alpha", r"x^2 y + x_i \alpha"),
        ("( - 1 )", "(-1)"),
        ("", ""),
    ],
)
def test_by_hand(tokens: str, typed: str) -> None:
    assert compact(tokens.split()) == typed


SYMBOLS = [t for t in vocabulary("wap").tokens if t not in ("{", "}", "^", "_", "\\limits", "'")]
LEAF = st.sampled_from([t for t in SYMBOLS if t not in ("\\frac", "\\sqrt")]).map(lambda t: [t])


def grown(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: [*p[0], *p[1]]),
        st.tuples(inner, inner).map(lambda p: ["\\frac", "{", *p[0], "}", "{", *p[1], "}"]),
        inner.map(lambda x: ["\\sqrt", "{", *x, "}"]),
        st.tuples(LEAF, inner).map(lambda p: [*p[0], "^", "{", *p[1], "}"]),
        st.tuples(LEAF, inner, inner).map(
            lambda p: [*p[0], "_", "{", *p[1], "}", "^", "{", *p[2], "}"]
        ),
    )


@given(st.recursive(LEAF, grown, max_leaves=12))
def test_what_is_typed_reads_back(tokens: list[str]) -> None:
    spelled = normalise(" ".join(tokens), "wap")
    assert normalise(compact(spelled), "wap") == spelled


def shape(text: str) -> str:
    root = ElementTree.fromstring(text)
    return (
        ElementTree.tostring(root[0], encoding="unicode")
        .replace(' xmlns:ns0="http://www.w3.org/1998/Math/MathML"', "")
        .replace("ns0:", "")
    )


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (r"\frac { \alpha } { 2 }", "<mfrac><mi>α</mi><mn>2</mn></mfrac>"),
        ("1 2 ^ { 3 }", "<msup><mn>12</mn><mn>3</mn></msup>"),
        (r"\sqrt [ 3 ] { x }", "<mroot><mi>x</mi><mn>3</mn></mroot>"),
        (
            r"\sum \limits _ { i } ^ { n } -",
            "<mrow><munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover><mo>−</mo></mrow>",
        ),
        (r"x _ { 1 } ^ { 2 }", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        (r"\log x", "<mrow><mi>log</mi><mi>x</mi></mrow>"),
    ],
)
def test_mathml_by_hand(tokens: str, shown: str) -> None:
    found = mathml(tokens.split())
    assert found is not None and shape(found) == shown


def test_what_is_no_expression_has_no_mathml() -> None:
    assert mathml(["{"]) is None and mathml("x ^ { 1 } ^ { 2 }".split()) is None


def test_every_symbol_has_a_sign() -> None:
    for token in SYMBOLS:
        shown = sign(token)
        assert shown and "\\" not in shown
        assert len(shown) == 1 or token in (
            r"\log",
            r"\sin",
            r"\cos",
            r"\tan",
            r"\lim",
            "\\frac",
            "\\sqrt",
        )


def test_a_matrix_is_an_environment_and_a_table() -> None:
    tokens = r"( \matrix { a & b \\ c & \frac { 1 } { 2 } } )".split()
    assert compact(tokens) == r"(\begin{matrix}a & b \\ c & \frac{1}{2}\end{matrix})"
    assert normalise(compact(tokens)) == tokens
    shown = mathml(tokens)
    assert shown is not None
    assert shown.count("<mtr>") == 2 and shown.count("<mtd>") == 4
    assert serialise(read_mathml(shown, "it").row) == tokens
    assert named_mathml(tokens) is None
