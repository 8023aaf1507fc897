"""Expressions as text on a figure: wrapped monospaced tokens, or typeset by mathtext."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from hmer.evaluation.diff import Marked
from hmer.evaluation.figures.canvas import SANS, TEXT, WRONG, Run
from hmer.latex.tree import nesting_depth

# Tokens of the dialects that mathtext spells otherwise.
_SPELLED = {"\\lt": "<", "\\gt": ">", "\\limits": "", "\\parallel": "\\|", "$": "\\$"}

LONGEST, DEEPEST = 150, 8  # beyond these mathtext is slow and the result unreadable


def mathtext(tokens: Sequence[str]) -> str | None:
    """The expression as a mathtext string, or None where mathtext cannot set it."""
    if not tokens or len(tokens) > LONGEST or nesting_depth(tokens) > DEEPEST:
        return None
    text = f"${_joined([_SPELLED.get(token, token) for token in tokens])}$"
    try:
        mathtext_size(text, 10.0)
    except (ValueError, RuntimeError, RecursionError):
        return None
    return text


def _joined(tokens: Sequence[str]) -> str:
    # mathtext takes a space for the nucleus of a script: only commands get one after them.
    commands = (token[0:1] == "\\" and token[-1:].isalpha() for token in tokens)
    return "".join(f"{t} " if command else t for t, command in zip(tokens, commands, strict=True))


def mathtext_size(text: str, size: float) -> tuple[float, float, float]:
    """Width, height above and depth below the baseline in inches, at `size` points."""
    font = FontProperties(family=SANS, size=size)
    parsed = MathTextParser("path").parse(text, dpi=72, prop=font)
    return parsed.width / 72.0, (parsed.height - parsed.depth) / 72.0, parsed.depth / 72.0


def wrap(tokens: Sequence[Marked], width: int, lines: int) -> list[list[Run]]:
    """Tokens set in at most `lines` lines of `width` characters; those that differ stand out.

    What does not fit is cut, with an ellipsis in place of the rest.
    """
    rows: list[list[Run]] = [[]]
    used = 0
    for index, (token, same) in enumerate(tokens):
        rest = 2 if index < len(tokens) - 1 else 0  # room that " …" may still need
        if used and used + len(token) > width - (rest if len(rows) == lines else 0):
            if len(rows) == lines:
                rows[-1].append(Run("…"))
                break
            rows.append([])
            used = 0
        room = width - (rest if len(rows) == lines else 0)
        token = token if len(token) <= room else token[: room - 1] + "…"
        rows[-1] += [Run(token, TEXT if same else WRONG, not same), Run(" ")]
        used += len(token) + 1
    return rows
