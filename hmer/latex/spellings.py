r"""How people spell the same thing: the tables of `hmer.latex.reader`.

General LaTeX, and Unicode signs as pasted from elsewhere; nothing here knows a data set, except
that `\ABOVE` stands for the `ABOVE` of CROHME's RIT truths (a root's index after the root).
"""

from __future__ import annotations

from functools import cache
from itertools import chain

from hmer.latex.tree import COMMANDS, LIMITS
from hmer.latex.vocabulary import vocabulary


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLANKS = _words(r"""
    $ ~ \, \; \: \! \> \/ \( \) \[ \] \quad \qquad \thinspace \nobreak \displaystyle \textstyle
    \scriptstyle \scriptscriptstyle \nolimits \mathstrut \strut
    """) | {"\\ "}
"""Signs without ink."""

FONTS = _words(r"""
    \mbox \hbox \text \textrm \textit \textbf \textsf \texttt \textnormal \mathrm \mathit \mathbf
    \mathsf \mathtt \mathnormal \mathop \mathbin \mathrel
    \mathord \mathopen \mathclose \mathpunct \operatorname \boldsymbol \bm \ensuremath
    \rm \it \bf \sf \tt
    """)
"""Commands that change the look of what follows, not the structure."""

FENCES = _words(r"\left \right \middle")
"""Commands before a delimiter; a dot after them is an invisible delimiter."""

SIZES = frozenset(
    f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "\\lt": ("<",),
    "\\gt": (">",),
    "\\le": ("\\leq",),
    "\\ge": ("\\geq",),
    "\\leqslant": ("\\leq",),
    "\\geqslant": ("\\geq",),
    "\\ne": ("\\neq",),
    "\\to": ("\\rightarrow",),
    "\\longrightarrow": ("\\rightarrow",),
    "\\lbrack": ("[",),
    "\\rbrack": ("]",),
    "\\lbrace": ("\\{",),
    "\\rbrace": ("\\}",),
    "\\lparen": ("(",),
    "\\rparen": (")",),
    "\\vert": ("|",),
    "\\lvert": ("|",),
    "\\rvert": ("|",),
    "\\mid": ("|",),
    "\\|": ("|", "|"),
    "\\Vert": ("|", "|"),
    "\\parallel": ("|", "|"),
    "\\dots": ("\\ldots",),
    "\\dotsc": ("\\ldots",),
    "\\dotsb": ("\\cdots",),
    "\\cdotp": ("\\cdot",),
    "\\ldotp": (".",),
    "\\colon": (":",),
    "\\cr": ("\\\\",),
    "\\dfrac": ("\\frac",),
    "\\tfrac": ("\\frac",),
    "\\cfrac": ("\\frac",),
    "\\sp": ("^",),
    "\\sb": ("_",),
    "−": ("-",),
    "–": ("-",),
    "×": ("\\times",),
    "÷": ("\\div",),
    "±": ("\\pm",),
    "·": ("\\cdot",),
    "⋅": ("\\cdot",),
    "⋯": ("\\cdots",),
    "…": ("\\ldots",),
    "≤": ("\\leq",),
    "≥": ("\\geq",),
    "≠": ("\\neq",),
    "→": ("\\rightarrow",),
    "∞": ("\\infty",),
    "∫": ("\\int",),
    "∑": ("\\sum",),
    "∈": ("\\in",),
    "∀": ("\\forall",),
    "∃": ("\\exists",),
    "′": ("'",),
    "’": ("'",),
    "″": ("'", "'"),
    "α": ("\\alpha",),
    "β": ("\\beta",),
    "γ": ("\\gamma",),
    "Δ": ("\\Delta",),
    "θ": ("\\theta",),
    "λ": ("\\lambda",),
    "μ": ("\\mu",),
    "π": ("\\pi",),
    "σ": ("\\sigma",),
    "φ": ("\\phi",),
}
"""Spellings that mean the same sign."""

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
OVER = "\\over"
STACK = "\\vtop"

_NEVER_GLUED = BLANKS | FONTS | FENCES | SIZES | COMMANDS.keys() | {LIMITS, "\\sp", "\\sb"}


def plain_tokens(tokens: list[str]) -> list[str]:
    """Tokens without blanks, fonts, sizes and fences; glued ones apart, synonyms replaced."""
    plain: list[str] = []
    after_fence = False
    for token in chain.from_iterable(map(_unglued, tokens)):
        if token in BLANKS or token in FONTS or token in SIZES:
            continue
        if token in FENCES:
            after_fence = True
            continue
        if not (after_fence and token == "."):
            plain.extend(SYNONYMS.get(token, (token,)))
        after_fence = False
    return plain


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
    return frozenset((*symbols, *SYNONYMS, *COMMANDS, *FUNCTIONS.values())) | (
        BLANKS | FONTS | FENCES | SIZES | DEFAULT_LIMITS | {LIMITS, OVER, INDEX_AFTER, STACK}
    )
