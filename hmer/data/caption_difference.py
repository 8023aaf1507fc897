"""Why the caption that came with an expression is not the one its raw truth normalises to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hmer.errors import LatexError
from hmer.latex.canonical import canonical
from hmer.latex.normalise import normalise

RESPELLED = "spelled otherwise, renders alike"
REFUSED = "the raw truth cannot be read"
ZEROS = "caption lacks zeros of a number"
BRACES = "braces of the raw truth do not match"
EMPTY_SCRIPT = "empty script in the raw truth"
ORDER = "same tokens in another order"
LEFT_OUT = "caption leaves tokens out"
OTHER = "other tokens"

REASONS = (RESPELLED, REFUSED, ZEROS, BRACES, EMPTY_SCRIPT, ORDER, LEFT_OUT, OTHER)
"""Every explanation there is; the first that holds is given."""


def caption_difference(raw: str, caption: Sequence[str], dialect: str) -> tuple[str, str] | None:
    """Compare a caption with the normalised raw truth.

    Args:
        raw: the truth as found.
        caption: the tokens given.
        dialect: of the caption.

    Returns:
        The explanation, one of `REASONS`, and what we would write; None where that is the caption.
    """
    try:
        ours = normalise(raw, dialect)
    except LatexError as error:
        return REFUSED, str(error)
    if ours == list(caption):
        return None
    return _reason(ours, list(caption), raw), " ".join(ours)


def _reason(ours: list[str], caption: list[str], raw: str) -> str:
    if canonical(ours) == canonical(caption):
        return RESPELLED
    if _without_zeros(ours) == _without_zeros(caption):
        return ZEROS
    if raw.count("{") != raw.count("}"):
        return BRACES
    if re.search(r"[_^]\s*\{\s*\}", raw):
        return EMPTY_SCRIPT
    if sorted(ours) == sorted(caption):
        return ORDER
    rest = iter(ours)
    return LEFT_OUT if all(token in rest for token in caption) else OTHER


def _without_zeros(tokens: list[str]) -> list[str]:
    """What is left of a caption whose author shortened `1.0` to `1`."""
    return [token for token in tokens if token not in "0."]
