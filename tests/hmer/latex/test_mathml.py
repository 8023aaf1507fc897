from __future__ import annotations

import contextlib
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.mathml import read_leaf, read_mathml
from hmer.latex.tree import Node, parse, serialise, symbols, walk

HEAD = '<math xmlns="http://www.w3.org/1998/Math/MathML">'


def mi(text: str, name: str = "") -> str:
    return f"<mi xml:id={quoteattr(name or text)}>{escape(text)}</mi>"


def read(inner: str) -> tuple[str, tuple[str, ...]]:
    tree = read_mathml(f"{HEAD}{inner}</math>", "test")
    return " ".join(serialise(tree.row)), tree.ids


@pytest.mark.parametrize(
    ("inner", "caption", "ids"),
    [
        (f"<mrow>{mi('a')}<mrow>{mi('+')}{mi('b')}</mrow></mrow>", "a + b", "a + b"),
        (f"<msup>{mi('x')}{mi('2')}</msup>", "x ^ { 2 }", "x 2"),
        (f"<msubsup>{mi('x')}{mi('i')}{mi('2')}</msubsup>", "x _ { i } ^ { 2 }", "x i 2"),
        (f'<mfrac xml:id="bar">{mi("a")}{mi("b")}</mfrac>', r"\frac { a } { b }", "bar a b"),
        (f'<msqrt xml:id="r">{mi("a")}{mi("b")}</msqrt>', r"\sqrt { a b }", "r a b"),
        # The index is written first in LaTeX, last in MathML.
        (f'<mroot xml:id="r">{mi("a")}{mi("n")}</mroot>', r"\sqrt [ n ] { a }", "r n a"),
        (
            f"<munderover>{mi('sum', 's')}{mi('i')}{mi('n')}</munderover>",
            r"\sum \limits _ { i } ^ { n }",
            "s i n",
        ),
        (f"<munder>{mi('lim', 'l')}{mi('x')}</munder>", r"\lim \limits _ { x }", "l x"),
        (f"<mover>{mi('x')}{mi('y')}</mover>", r"x \limits ^ { y }", "x y"),
        # Scripts of a group go to its last symbol, as captions have them.
        (f"<msup><mrow>{mi('a')}{mi(')')}</mrow>{mi('n')}</msup>", "a ) ^ { n }", "a ) n"),
        # A second script of one symbol needs the group.
        (
            f"<msup><msub>{mi('x')}{mi('i')}</msub>{mi('2')}</msup>",
            "{ x _ { i } } ^ { 2 }",
            "x i 2",
        ),
        (f"{mi('sin', 's')}{mi(chr(92) + 'pi', 'p')}{mi('<')}", r"\sin \pi <", "s p <"),
        ("<mn>1</mn>", "1", ""),
        (f"<mover>{mi('x')}{mi('→', 'v')}</mover>", r"\vec { x }", "v x"),
        (f"<mover><mrow>{mi('A')}{mi('B')}</mrow>{mi('¯', 'o')}</mover>", r"\overline { A B }",
         "o A B"),
        (f"<mover>{mi('x')}{mi('^', 'h')}</mover>", r"\hat { x }", "h x"),
        (f"<munder>{mi('x')}{mi('_', 'u')}</munder>", r"\underline { x }", "u x"),
        ("<mi mathvariant='double-struck'>R</mi>", r"\mathbb { R }", " "),
        (f"<mstyle mathvariant='script'><mrow>{mi('L', '')}</mrow></mstyle>", r"\mathcal { L }",
         " "),
        (f"<mfenced open='['>{mi('x')}{mi('y')}</mfenced>", "[ x , y )", " x  y "),
        (f"<mfenced separators='; ,'>{mi('a')}{mi('b')}{mi('c')}{mi('d')}</mfenced>",
         "( a ; b , c , d )", " a  b  c  d "),
        (f"{mi('max', 'm')}{mi('Gamma', 'g')}{mi('%', 'p')}", r"\max \Gamma \%", "m g p"),
    ],
)  # fmt: skip
def test_structures(inner: str, caption: str, ids: str) -> None:
    assert read(inner) == (caption, tuple(ids.split(" ")))


def test_several_symbols_of_one_leaf_have_no_identifier() -> None:
    assert read("<mn xml:id='a'>42</mn>") == ("4 2", ("", ""))


@pytest.mark.parametrize(
    ("text", "token"),
    [("pi", r"\pi"), ("cos", r"\cos"), ("{", r"\{"), ("...", r"\ldots"), ("\\lt", "<"), ("p", "p")],
)
def test_leaves(text: str, token: str) -> None:
    assert read_leaf(text) == (Node(token),)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("", "cannot be read"),
        ("<math>", "cannot be read"),
        ("<mfrac linethickness='0pt'><mi>n</mi><mi>k</mi></mfrac>", "without a bar"),
        (f"{HEAD}<mfrac>{mi('a')}</mfrac></math>", "1 children, not 2"),
        (f"{HEAD}<mtable/></math>", "mtable> has no lines"),
        (f"{HEAD}<mtable><mi>a</mi></mtable></math>", "<mi> in place of <mtr>"),
        (f"{HEAD}<mi>^</mi></math>", "cannot be read"),
        ('<!DOCTYPE m [<!ENTITY a "b">]><math><mi>&a;</mi></math>', "cannot be read"),
        (f"{HEAD}{'<msup>' * 70}", "cannot be read"),
        (
            HEAD + "<msup><mi>x</mi>" * 70 + "<mi>x</mi>" + "</msup>" * 70 + "</math>",
            "nested deeper than 64 levels",
        ),
        (HEAD + "<mrow>" * 9000 + "</mrow>" * 9000 + "</math>", "nested deeper"),
        ("<math>" + "x" * 1_000_001, "at most"),
    ],
)
def test_refusals_name_the_file(xml: str, reason: str) -> None:
    with pytest.raises(LatexError, match=reason) as caught:
        read_mathml(xml, "a.inkml")
    assert str(caught.value).startswith("a.inkml: ")


_TAGS = "mrow mi mo mn msub msup msubsup mfrac msqrt mroot munder mover munderover mspace".split()
_leaf = st.sampled_from(["<mi>x</mi>", "<mo>+</mo>", "<mi>sin</mi>", "<mo>^</mo>", "<mspace/>"])
_elements = st.recursive(
    _leaf,
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>",
        st.sampled_from(_TAGS),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


@given(_elements)
def test_any_nesting_is_read_or_refused(inner: str) -> None:
    try:
        tree = read_mathml(f"<math>{inner}</math>", "test")
    except LatexError:
        return
    assert len(tree.ids) == len(symbols(tree.row))
    with contextlib.suppress(ValueError):  # scripts beside limits have no spelling
        tokens = serialise(tree.row)
        assert [n.token for n in walk(parse(tokens))] == [n.token for n in walk(tree.row)]


@given(st.text(max_size=60))
def test_noise_is_a_latex_error(text: str) -> None:
    with contextlib.suppress(LatexError):
        read_mathml(text, "test")
    with contextlib.suppress(LatexError):
        read_leaf(text)


def test_rows_in_rows_are_read_however_deep() -> None:
    deep = "<mrow>" * 3000 + mi("x") + "</mrow>" * 3000
    assert read(f"{mi('a')}{deep}") == ("a x", ("a", "x"))


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<msup><mrow>" + mi("a"), "</mrow><mi>2</mi></msup>"),
        ("<mfrac><mi>1</mi><mrow><mrow>", "</mrow></mrow></mfrac>"),
        ("<msqrt><mstyle>", "</mstyle></msqrt>"),
        ("<mi>", "</mi>"),
    ],
)
@pytest.mark.parametrize("times", [60, 64, 65, 2000])
def test_any_depth_gives_a_tree_or_an_error(opening: str, closing: str, times: int) -> None:
    leaf = "<mi>" + "{x^{" * 31 + "y" + "}}" * 31 + "</mi>"
    with contextlib.suppress(LatexError):
        read_mathml(HEAD + opening * times + leaf + closing * times + "</math>", "test")
