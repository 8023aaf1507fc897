"""Errors that a person can act on.

Everything a user can get wrong raises `HmerError` (or a subclass) with one message that names the
file or parameter and the remedy. Programmer mistakes raise ordinary Python errors.
"""

from __future__ import annotations


class HmerError(Exception):
    """A mistake in the input or the configuration, told in one line."""


class InkError(HmerError):
    """Ink that cannot be read: broken InkML, no strokes, absurd coordinates."""


class LatexError(HmerError):
    """LaTeX that cannot be tokenised or parsed."""


class ArchiveError(HmerError):
    """A package that is missing, damaged or unsafe (paths outside it, bombs)."""
