from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.reader import read, shorten, tokenize
from hmer.latex.tree import MAX_DEPTH, parse, serialise


@pytest.mark.parametrize(
    ("latex", "caption"),
    [
        (
            r"\begin{pmatrix} a & b \\ c & d^2 \\ \end{pmatrix}",
            r"( \matrix { a & b \\ c & d ^ { 2 } } )",
        ),
        (
            r"\left[\begin{array}{c|c} 1 & 0\cr\hline 0 & 1\end{array}\right]",
            r"[ \matrix { 1 & 0 \\ 0 & 1 } ]",
        ),
        (r"\begin{cases} x & x>0 \\[2pt] [y] \end{cases}", r"\{ \matrix { x & x > 0 \\ [ y ] }"),
        (
            r"\begin { align* } x &= 1 \\ & ^2 \end { align* }",
            r"\matrix { x & = 1 \\ & { } ^ { 2 } }",
        ),
        (r"\begin{Vmatrix}a\end{Vmatrix}_2", r"| | \matrix { a } | | _ { 2 }"),
        (r"\begin{equation}x\end{equation}", "x"),
        (r"\begin{align*} \{ a \& b \} &= 1 \label{eq:a} \\ \end{align*}", r"\{ a \& b \} = 1"),
        (r"\begin{eqnarray} x &=& 1 \nonumber \end{eqnarray}", "x = 1"),
        (r"\begin{array}{@{}c@{}} a \end{array}", r"\matrix { a }"),
        (r"\sum_{\substack{i<n \\ j}} a", r"\sum _ { \matrix { i < n \\ j } } a"),
        (r"{n \choose k}", r"\binom { n } { k }"),
    ],
)
def test_matrices_and_lines(latex: str, caption: str) -> None:
    assert serialise(read(latex)) == caption.split()
    assert serialise(parse(caption.split())) == caption.split()


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        ("", []),
        ("x^2", ["x", "^", "2"]),
        (r"\alpha b", ["\\alpha", "b"]),
        (r"\alphab", ["\\alphab"]),
        (r"\{1,\, 2\}", ["\\{", "1", ",", "\\,", "2", "\\}"]),
        ("a\\ b\\\nc", ["a", "\\ ", "b", "\\ ", "c"]),
        (" x \t\n y ", ["x", "y"]),
    ],
)
def test_tokens(latex: str, tokens: list[str]) -> None:
    assert tokenize(latex) == tokens


@pytest.mark.parametrize(
    ("latex", "caption"),
    [
        ("50%", r"5 0 \%"),
        (r"50\% + 5%", r"5 0 \% + 5 \%"),
        ("50 % = x%", r"5 0 \% = x \%"),
        ("%", r"\%"),
        ("a % b", r"a \% b"),
        ("7 % 3 = 1", r"7 \% 3 = 1"),
        ("#A", r"\# A"),
        ("x % the first line\n+ y", "x + y"),
        ("% the first line\nx", "x"),
        ("x +%\n 50%\n+ y", r"x + 5 0 \% + y"),
        (r"\begin{aligned}%" "\n" r"x &= 1 \\ % one" "\n" r"y \end{aligned}",
         r"\matrix { x & = 1 \\ y }"),
    ],
)  # fmt: skip
def test_percent_signs_and_comments(latex: str, caption: str) -> None:
    assert serialise(read(latex)) == caption.split()


def test_a_percent_sign_that_may_begin_a_comment_is_told() -> None:
    with pytest.raises(LatexError, match=r"percent sign, or leave the comment out"):
        read("50 % of x")


def test_lone_backslash_is_refused() -> None:
    with pytest.raises(LatexError, match="backslash"):
        tokenize("x + \\")


@given(st.text())
def test_nothing_but_blanks_is_lost(text: str) -> None:
    try:
        tokens = tokenize(text)
    except LatexError:
        assert text.endswith("\\")
    else:
        assert "".join("".join(tokens).split()) == "".join(text.split())
        assert tokenize(" ".join(tokens)) == tokens


def test_shorten() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcdefgh", 6) == "abc..."


@pytest.mark.parametrize(
    ("latex", "caption"),
    [
        # Missing and superfluous braces.
        ("$x^2_i$", "x ^ { 2 } _ { i }"),
        (r"\frac12", r"\frac { 1 } { 2 }"),
        (r"\frac 1 {a+b}", r"\frac { 1 } { a + b }"),
        (r"x^\frac12", r"x ^ { \frac { 1 } { 2 } }"),
        (r"\sqrt\sqrt x", r"\sqrt { \sqrt { x } }"),
        ("{ { i + { F } } > j }", "i + F > j"),
        ("{x}^{2}", "x ^ { 2 }"),
        ("{a+b}^2", "a + b ^ { 2 }"),
        ("{x^2}^3", "{ x ^ { 2 } } ^ { 3 }"),
        ("x {}^2 y", "x { } ^ { 2 } y"),
        ("^2 x", "^ { 2 } x"),
        ("x{^2}", "x { } ^ { 2 }"),
        ("x_{}^2", "x ^ { 2 }"),
        ("{}^{} x {}", "x"),
        ("x}+1", "x + 1"),
        (r"\frac{2}{b", r"\frac { 2 } { b }"),
        # Fonts, blanks, sizes, fences.
        (r"I_\mathrm{S}", "I _ { S }"),
        (r"\mbox{ rot } \,\!\; a\ b", "r o t a b"),
        (r"\Bigg( x \Bigg) \bigl[ y \bigr]", "( x ) [ y ]"),
        (r"\left. x \right|_0", "x | _ { 0 }"),
        (r"\left\{ x \right.", r"\{ x"),
        (r"\left \mathrm. x.5", "x . 5"),
        # Synonyms.
        (r"a \lt b \le c \gt d \ge e \ne f", r"a < b \leq c > d \geq e \neq f"),
        (r"M\ltN", "M < N"),
        (r"x \to 0 \lbrack y \rbrack", r"x \rightarrow 0 [ y ]"),
        (r"x \parallel y \| z", "x | | y | | z"),
        (r"\dfrac{a}{b} \dots", r"\frac { a } { b } \ldots"),
        (r"{a \over b} c", r"\frac { a } { b } c"),
        (r"a \over b", r"\frac { a } { b }"),
        (r"x\sp2\sb i", "x ^ { 2 } _ { i }"),
        ("2 × π ≤ −3", r"2 \times \pi \leq - 3"),
        # Function names in letters; a name that ends its row is a label.
        ("2 l o g ( x )", r"2 \log ( x )"),
        (r"\operatorname{sin} x", r"\sin x"),
        ("log_2 x", r"\log _ { 2 } x"),
        ("a_{tan}", "a _ { t a n }"),
        ("l^2 o g x", "l ^ { 2 } o g x"),
        (r"\mbox{erf}(z)", "e r f ( z )"),
        # Roots, limits, primes.
        (r"\sqrt[3]{x}", r"\sqrt [ 3 ] { x }"),
        (r"\sqrt {x ^ {p}} ABOVE {q} + 1", r"\sqrt [ q ] { x ^ { p } } + 1"),
        ("A B O V E", "A B O V E"),
        (r"\int\limits_0^1", r"\int \limits _ { 0 } ^ { 1 }"),
        (r"\int_0\limits^1", r"\int _ { 0 } ^ { 1 }"),
        (r"\int\limits x", r"\int x"),
        (r"\limits_0 x", "_ { 0 } x"),
        ("f''(x)", "f ^ { ' ' } ( x )"),
        ("f'^2", "f ^ { ' 2 }"),
        ("f^{''} g'''", "f ^ { ' ' } g ^ { ' ' ' }"),
        ("x{'y}", "x { ' y }"),
        ("' x", "' x"),
        ("f^{'}", "f ^ { ' }"),
        (r"x\prime", r"x \prime"),
        # Commands outside the vocabulary keep their structure.
        (r"\overline{x y} \hat z", r"\overline { x y } \hat { z }"),
        (r"\mathbb R", r"\mathbb { R }"),
        (r"\$ W", r"\$ W"),
        # Commands glued to the letters after them.
        (r"P\gtp+\frac{aq}{1-q}", r"P > p + \frac { a q } { 1 - q }"),
        (r"R_g\ltq^{-1}\ltl_0", "R _ { g } < q ^ { - 1 } < l _ { 0 }"),
        (r"a\gtsin x", r"a > \sin x"),
        (r"\alphab\timesxy\intf", r"\alpha b \times x y \int f"),
        (r"\infty\gtrsim\neg\top\leqq", r"\infty \gtrsim \neg \top \leqq"),
        (r"\lefty\fracx", r"\lefty \fracx"),
        # A root in two lines.
        (r"\frac {a \vtop {\hbox {\sqrt {}} \hbox {3}}} {4}", r"\frac { a \sqrt { 3 } } { 4 }"),
    ],
)
def test_readings(latex: str, caption: str) -> None:
    assert serialise(read(latex)) == caption.split()


@pytest.mark.parametrize(
    ("latex", "caption"),
    [
        (r"\operatorname*{lim}_x \operatorname * {s g n} x", r"\lim _ { x } s g n x"),
        (r"\cfrac[l]{1}{2} \Bigl. x \Bigr|_0", r"\frac { 1 } { 2 } x | _ { 0 }"),
        (r"a \hspace*{1 cm} b \kern - . 1 8 e m c \mskip-2mu d", "a b c d"),
        (r"\phantom{x^{2}} \textcolor[rgb]{1,0,0}{x} \tag*{(1)} {\label m}", "x"),
        (r"{\cal L}_a {\cal A B} \Bbb{R} \cal \; M", r"\mathcal { L } _ { a } \mathcal { A B } "
         r"\mathbb { R } \mathcal { M }"),
        ("x² + a₁₀ⁿ ∈ ℝ", r"x ^ { 2 } + a _ { 1 0 } ^ { n } \in \mathbb { R }"),
        ("½ ω − 𝑥\u2062（１）µ ∪ ℏ", r"\frac { 1 } { 2 } \omega - x ( 1 ) \mu \cup \hbar"),
        ("√2 + √{x} + ∛12", r"\sqrt { 2 } + \sqrt { x } + \sqrt [ 3 ] { 1 2 }"),
        ("√α", r"\sqrt { \alpha }"),
        ("√(x)", "√ ( x )"),  # what is under it cannot be told
        ("x\u0304 + \\alpha\u0302 v\u20d7", r"\bar { x } + \hat { \alpha } \vec { v }"),
        ("a ∙ b ∥ c ⩽ d ‑ e", r"a \cdot b | | c \leq d - e"),
        ("a &lt; b&nbsp;&gt; c", "a < b > c"),
        (r"\begin{matrix}1&amp;2\end{matrix}", r"\matrix { 1 & 2 }"),
        (r"a \not= b \not \in c \not\subset", r"a \neq b \notin c \not \subset"),
        (r"\sqrt[]{x}", r"\sqrt { x }"),
        ("é ☺", "é ☺"),  # told as what no vocabulary has
    ],
)  # fmt: skip
def test_what_leaves_no_ink_or_is_pasted(latex: str, caption: str) -> None:
    assert serialise(read(latex)) == caption.split()


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        (r"\frac{1}", "a symbol or a group is expected"),
        ("x^", "at the end"),
        ("x^^2", "a symbol or a group"),
        ("x^1^2", "second script"),
        ("x^2'", "second script"),
        ("{x}^1^2^3", "second script"),
        (r"\sqrt[3", "root index"),
        (r"{\sqrt[3}]{x}", "']' is missing"),
        (r"\sqrt[{]}]{x}", "root index cannot hold"),
        ("x ABOVE {2}", "ABOVE must follow a root"),
        (r"\bar{x} ABOVE {2}", "ABOVE must follow a root"),
        (r"\sqrt\ABOVE", "a symbol or a group is expected"),
        (r"a \over b \over c", r"second \\over"),
        (r"\begin{matrix} 1", r"'\\\\end{matrix}' is missing"),
        (r"\begin{tikz} 1 \end{tikz}", "the environment 'tikz' is none of"),
        (r"\end{matrix}", "a symbol or a group is expected"),
        (r"a \\ b", "between the cells and lines of a matrix only"),
        (r"\matrix", "'{' is missing"),
        (
            r"\begin{matrix} \frac{a & b}{c} \end{matrix}",
            "between the cells and lines of a matrix only",
        ),
        ("x \\", "backslash"),
        (r"\vtop{\hbox{a}\hbox{b}}", "several lines"),
        (r"\vtop{\hbox{\sqrt{}}}", "several lines"),
        (r"\vtop{}", "several lines"),
    ],
)
def test_refusals(latex: str, message: str) -> None:
    with pytest.raises(LatexError, match=message):
        read(latex)


@pytest.mark.parametrize("opening", ["{", r"\sqrt", r"\sqrt[", "x^{", r"{1\over"])
def test_depth_is_limited(opening: str) -> None:
    with pytest.raises(LatexError, match="nested deeper"):
        read(opening * (MAX_DEPTH + 1) + " x")
