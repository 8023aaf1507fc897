r"""How people spell the same thing: the tables of `hmer.latex.reader`.

General LaTeX, and Unicode signs as pasted from elsewhere; nothing here knows a data set, except
that `\ABOVE` stands for the `ABOVE` of CROHME's RIT truths (a root's index after the root).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from html import unescape
from itertools import takewhile

from hmer.latex.tree import COMMANDS, LIMITS
from hmer.latex.vocabulary import chosen_vocabulary, vocabulary


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLANKS = _words(r"""
    $ ~ \, \; \: \! \> \/ \( \) \[ \] \quad \qquad \thinspace \nobreak \displaystyle \textstyle
    \scriptstyle \scriptscriptstyle \nolimits \mathstrut \strut
    \enspace \hfill \hfil \allowbreak \nobreakspace \noindent \smallskip \medskip \bigskip \relax
    \protect \null \nonumber \notag \boldmath \unboldmath \tiny \scriptsize \footnotesize \small
    \normalsize \large \Large \LARGE \huge \Huge
    """) | {"\\ "}
"""Signs without ink."""

UNSEEN = _words(r"""
    \hspace \vspace \phantom \hphantom \vphantom \label \tag \color \textcolor \raisebox \scalebox
    """)
"""Commands whose first argument (a length, a name, a gap) leaves no ink."""

FONTS = _words(r"""
    \mbox \hbox \text \textrm \textit \textbf \textsf \texttt \textnormal \mathrm \mathit \mathbf
    \mathsf \mathtt \mathnormal \mathop \mathbin \mathrel
    \mathord \mathopen \mathclose \mathpunct \operatorname \boldsymbol \bm \ensuremath
    \rm \it \bf \sf \tt \sl \sc \mit \emph \textup \textmd \textsl \textsc \pmb \bold \mathinner
    \smash \vcenter \rlap \llap
    """)
"""Commands that change the look of what follows, not the structure."""

SWITCHES = {"\\cal": "\\mathcal", "\\Bbb": "\\mathbb", "\\frak": "\\mathfrak"}
"""Old commands of alphabets: `{\\cal L}`, for the letters that follow in the group."""

FENCES = _words(r"\left \right \middle")
"""Commands before a delimiter; a dot after them is an invisible delimiter."""

SIZES = frozenset(
    f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
)

_SAME = r"""
    \lt < \gt > \le \leq \ge \geq \leqslant \leq \geqslant \geq \ne \neq \to \rightarrow
    \longrightarrow \rightarrow \gets \leftarrow \longleftarrow \leftarrow
    \longleftrightarrow \leftrightarrow \longmapsto \mapsto \implies \Rightarrow
    \Longrightarrow \Rightarrow \impliedby \Leftarrow \Longleftarrow \Leftarrow
    \iff \Leftrightarrow \Longleftrightarrow \Leftrightarrow \land \wedge \lor \vee \lnot \neg
    \owns \ni \dag \dagger \ddag \ddagger \bmod \mod \lbrack [ \rbrack ] \lbrace \{ \rbrace \}
    \lparen ( \rparen ) \vert | \lvert | \rvert | \mid | \dots \ldots \dotsc \ldots \dotsb \cdots
    \dotsm \cdots \hdots \ldots \cdotp \cdot \ldotp . \colon : \cr \\ \dfrac \frac \tfrac \frac
    \cfrac \frac \dbinom \binom \tbinom \binom \stackrel \overset \substack \matrix
    \mathds \mathbb \sp ^ \sb _ − - – - — - ‐ - ‑ - · \cdot ∙ \cdot ∕ / ∶ : ’ ' ′ ' ∆ \Delta ⊥ \perp
    ∣ | ⩽ \leq ⩾ \geq ≦ \leq ≧ \geq ⟶ \rightarrow ⟵ \leftarrow ⟹ \Rightarrow ⟺ \Leftrightarrow % \%
    # \#
""".split()
SYNONYMS: dict[str, tuple[str, ...]] = {
    **{spelling: (token,) for spelling, token in zip(_SAME[::2], _SAME[1::2], strict=True)},
    **dict.fromkeys(r"\| \Vert \lVert \rVert \parallel ‖ ∥".split(), ("|", "|")),
    "″": ("'", "'"),
}
"""Spellings that mean the same sign, or lack a backslash; in `_SAME` each stands before its
meaning."""

NEGATED = {"=": "\\neq", "\\in": "\\notin"}
r"""Signs that have a command of their own when `\not` strikes them out."""

FUNCTIONS = {tuple(name): f"\\{name}" for name in ("log", "sin", "cos", "tan", "lim")}
"""Function names spelled letter by letter, and the command that means them."""

DEFAULT_LIMITS = _words(r"\sum \lim \prod \max \min \sup \inf \limsup \liminf")
r"""Operators that set limits above and below without `\limits` (in display style)."""

ESCAPED = _words(r"\lt \gt")
"""Signs that XML has to escape; truths have them glued to whatever letters come next."""

OTHERS = _words(r"""
    \inf \intop \sinh \cosh \tanh \pmod \pmb \leqq \geqq \let \gets \neg \top \dotsm \dotsi \dotso
    \ltimes \gtrsim \gtrless \gtrdot \gtrapprox \gtreqless \gtreqqless
    """)
"""Commands of LaTeX that begin like a symbol's: never that symbol and letters."""


INDEX_AFTER = "\\ABOVE"
OVER = {"\\over": "\\frac", "\\choose": "\\binom"}
"""Commands between the parts of what others write before them."""
STACK = "\\vtop"

_NEVER_GLUED = BLANKS | UNSEEN | FONTS | FENCES | SIZES | COMMANDS.keys() | SWITCHES.keys() | {
    LIMITS, "\\sp", "\\sb"
}  # fmt: skip

_STARS = re.compile(
    r"(\\(?:operatorname|[hv]space|tag|cfrac)(?![A-Za-z]))\s*(?:\*|\[\s*[lcr]\s*\])"
)
_KERNS = re.compile(
    r"\\(?:[hvm]skip|m?kern|raise|lower)(?![A-Za-z])\s*[+-]?[\d.\s]*"
    r"(?:e\s*[mx]|p\s*t|m\s*[mu]|c\s*m|i\s*n)"
)
_RAISED, _LOWERED = re.compile("[²³¹⁰-ⁿ]+"), re.compile("[₀-ₜ]+")
_ROOTS = {"√": "\\sqrt", "∛": "\\sqrt[3]", "∜": "\\sqrt[4]"}
_ROOT_OF = re.compile(r"([√∛∜])\s*(?:(\d+(?:\.\d+)?)|(?=[^\W\d_]|[{\\]))")
_MARKS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u030c\u20d7\u0332",
        r"\grave \acute \hat \tilde \bar \overline \breve \dot \ddot \check \vec "
        r"\underline".split(),
        strict=True,
    )
)
"""Accents by the combining character that is typed after a letter."""
_MARKED = re.compile(rf"(\\[A-Za-z]+|[^\W_])([{''.join(_MARKS)}])")
_ENTITIES = re.compile(r"&(lt|gt|amp|nbsp);")
_ALPHABETS = (
    (re.compile(r"\bDOUBLE-STRUCK\b"), r"\mathbb"),
    (re.compile(r"\bSCRIPT\b"), r"\mathcal"),
    (re.compile(r"\b(?:BLACK-LETTER|FRAKTUR)\b"), r"\mathfrak"),
)


def plain_text(latex: str) -> str:
    r"""LaTeX without variants that change no sign (`\operatorname*`, `\kern 2pt`), in ASCII.

    Characters of Unicode become what LaTeX has for them (`x² ∈ ℝ`); others stay. What HTML escapes
    (`&lt;`) is read as the sign.
    """
    latex = _ENTITIES.sub(lambda found: unescape(found[0]), latex)
    latex = _KERNS.sub(" ", _STARS.sub(r"\1", latex))
    # CROHME spells a root's index after the root.
    latex = re.sub(r"\bABOVE(?=\s*\{)", lambda _: INDEX_AFTER, latex)
    if latex.isascii():
        return latex
    latex = _ROOT_OF.sub(_root, latex)
    latex = _MARKED.sub(lambda found: f"{_MARKS[found[2]]}{{{found[1]}}}", latex)
    latex = _RAISED.sub(lambda found: f"^{{{_compatible(found[0])}}}", latex)
    latex = _LOWERED.sub(lambda found: f"_{{{_compatible(found[0])}}}", latex)
    return "".join(map(_in_latex, latex))


def _root(found: re.Match[str]) -> str:
    """A sign of a root with the number after it, or before a symbol or a group."""
    command = _ROOTS[found[1]]
    return f"{command}{{{found[2]}}}" if found[2] else f"{command} "


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


@cache
def _in_latex(character: str) -> str:
    """What LaTeX has for a character; itself where it has nothing."""
    if character.isascii() or character in SYNONYMS:
        return character
    if command := _commands().get(character):
        return f"{command} "
    if unicodedata.category(character) == "Cf":  # invisible: a mark of order, a joiner
        return ""
    plain = _compatible(character)
    if plain == character:
        return character
    over, slash, under = plain.partition("⁄")
    if slash:
        return f"\\frac{{{over}}}{{{under}}}"
    found = "".join(map(_in_latex, plain))
    name = unicodedata.name(character)
    alphabet = next((command for word, command in _ALPHABETS if word.search(name)), None)
    return f"{alphabet}{{{found}}}" if alphabet else found


@cache
def _commands() -> dict[str, str]:
    """Commands by the character that they show; of several the first in ASCII order."""
    tokens = chosen_vocabulary("wide", "plain").tokens
    return {sign(token): token for token in sorted(tokens, reverse=True) if token[0] == "\\"}


def plain_tokens(tokens: Sequence[str]) -> list[str]:
    """Tokens without blanks, fonts, sizes and fences; glued ones apart, synonyms replaced."""
    tokens = [part for token in tokens for part in _unglued(token)]
    plain: list[str] = []
    at = 0
    after_fence = False
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token in BLANKS or token in FONTS:
            continue
        if token == "\\not" and (negated := NEGATED.get("".join(tokens[at : at + 1]))):
            token = negated
            at += 1
        if token in UNSEEN:
            if tokens[at : at + 1] == ["["] and "]" in tokens[at:]:  # \color[rgb]{1,0,0}
                at = tokens.index("]", at) + 1
            at = after_group(tokens, at)
            continue
        if token in FENCES or token in SIZES:
            after_fence = True
            continue
        if token in SWITCHES:
            letters = list(takewhile(str.isalpha, tokens[at:]))
            at += len(letters)
            plain += [SWITCHES[token], *(["{", *letters, "}"] if letters else [])]
        elif not (after_fence and token == "."):
            plain.extend(SYNONYMS.get(token, (token,)))
        after_fence = False
    return plain


def after_group(tokens: Sequence[str], at: int) -> int:
    """Where the braced group, or the one token, that begins at `at` has ended."""
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end] == "{") - (tokens[end] == "}")
        if depth <= 0:
            return end + (depth == 0)  # a brace that closes what is around stays
    return len(tokens)


def _unglued(token: str) -> tuple[str, ...]:
    r"""A symbol's command and the letters glued to it (`\gtp`), where together they are no command.

    Up to two letters, the next factors; after `\lt` and `\gt`, escaped signs of XML, any.
    """
    if len(token) < 4 or token in _known() or token in OTHERS:
        return (token,)
    for end in range(len(token) - 1, 2, -1):
        head, rest = token[:end], token[end:]
        if head in ESCAPED or (len(rest) <= 2 and head in _known() and head not in _NEVER_GLUED):
            return (head, *rest)
    return (token,)


@cache
def _known() -> frozenset[str]:
    """Commands that the tables know."""
    symbols = vocabulary("wap").tokens + vocabulary("comer").tokens
    others = (*SYNONYMS, *COMMANDS, *FUNCTIONS.values(), *SWITCHES, *OVER)
    words = BLANKS | UNSEEN | FONTS | FENCES | SIZES | DEFAULT_LIMITS
    return words | {*symbols, *others, LIMITS, INDEX_AFTER, STACK}


_SIGNS = r"""
    \cdot ⋅ \cdots ⋯ \ldots … \div ÷ \times × \pm ± \leq ≤ \geq ≥ \neq ≠ \in ∈ \exists ∃ \forall ∀
    \infty ∞ \int ∫ \sum ∑ \prime ′ \rightarrow → \{ { \} } - − ' ′ \partial ∂ \nabla ∇ \prod ∏
    \subset ⊂ \cup ∪ \cap ∩ \mp ∓ \approx ≈ \equiv ≡
    \ll ≪ \gg ≫ \cong ≅ \propto ∝ \sim ∼ \simeq ≃ \ni ∋ \notin ∉ \subseteq ⊆ \subsetneq ⊊
    \supset ⊃ \supseteq ⊇ \emptyset ∅ \varnothing ∅ \perp ⊥ \bot ⊥ \top ⊤ \models ⊨ \vdash ⊢
    \dashv ⊣ \triangleq ≜ \bullet • \circ ∘ \ast ∗ \star ⋆ \vee ∨ \wedge ∧ \oplus ⊕ \ominus ⊖
    \otimes ⊗ \odot ⊙ \leftarrow ← \leftrightarrow ↔ \Rightarrow ⇒ \Leftarrow ⇐ \Leftrightarrow ⇔
    \uparrow ↑ \downarrow ↓ \mapsto ↦ \hookrightarrow ↪ \rightleftharpoons ⇌ \vdots ⋮ \ddots ⋱
    \aleph ℵ \angle ∠ \dagger † \hbar ℏ \ell ℓ \neg ¬ \triangle △ \square □ \langle ⟨ \rangle ⟩
    \lfloor ⌊ \rfloor ⌋ \lceil ⌈ \rceil ⌉ \backslash \ \iint ∬ \iiint ∭ \oint ∮ \coprod ∐
    \bigcap ⋂ \bigcup ⋃ \bigoplus ⨁ \bigotimes ⨂ \bigvee ⋁ \bigwedge ⋀ \setminus ∖ \prec ≺ \succ ≻
    \therefore ∴ \because ∵ \Re ℜ \Im ℑ \degree ° \% % \# # \& & \$ $
""".split()
_SIGN_OF = dict(zip(_SIGNS[::2], _SIGNS[1::2], strict=True))


@cache
def sign(token: str) -> str:
    """The character, or the name of a function, that a token shows."""
    if token in _SIGN_OF:
        return _SIGN_OF[token]
    name = token.removeprefix("\\")
    if token in FUNCTIONS.values() or name == token:
        return name
    case = "CAPITAL" if name[:1].isupper() else "SMALL"
    letter = {"LAMBDA": "LAMDA", "VAREPSILON": "EPSILON", "VARPHI": "PHI"}
    try:
        spelled = letter.get(name.upper(), name.upper())
        return unicodedata.lookup(f"GREEK {case} LETTER {spelled}")
    except KeyError:
        return name
