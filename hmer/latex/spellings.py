r"""How people spell the same thing: the tables of `hmer.latex.reader`.

General LaTeX, and Unicode signs as pasted from elsewhere; nothing here knows a data set, except
that `\ABOVE` stands for the `ABOVE` of CROHME's RIT truths (a root's index after the root).
"""

from __future__ import annotations


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
