r"""The grammar of captions as two automata over token numbers, one per writing direction.

What they let through is what a strict parser of captions accepts:

    row    = node*
    node   = symbol [limits] scripts | "{" row "}" scripts | scripts at the start of a row
    symbol = command with its groups | root ["[" row "]"] group | any other token
    scripts = at most one superscript and one subscript, each mark before a group
    limits  : a mark between a symbol without groups and its scripts

Both need a stack only, so each hypothesis carries a small immutable state.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hmer.decoding.constraint import Mask


@dataclass(frozen=True)
class Roles:
    """What the tokens of a vocabulary do; None where it has no such token."""

    classes: int
    """V, all numbers, specials included."""
    specials: frozenset[int]
    """Padding, start and stop: never part of a caption."""
    opening: int | None
    """`{`"""
    closing: int | None
    """`}`"""
    scripts: tuple[int, ...]
    """The script marks."""
    limits: int | None
    commands: Mapping[int, int] = field(default_factory=dict)
    """Tokens that take groups, and how many."""
    root: int | None = None
    """The command that may take a bracketed index before its group."""
    index_opening: int | None = None
    index_closing: int | None = None
    max_depth: int = 64
    """Deepest nesting of groups."""
    refused: frozenset[int] = frozenset()
    """Tokens that no caption has."""

    @property
    def braces(self) -> bool:
        """Whether groups can be written at all."""
        return self.opening is not None and self.closing is not None

    def symbols(self) -> frozenset[int]:
        """Tokens that stand for themselves, brackets included."""
        marks = {self.opening, self.closing, self.limits, *self.scripts, *self.commands}
        every = frozenset(range(self.classes)) - self.specials - self.refused
        return every - {mark for mark in marks if mark is not None}


class Automaton:
    """What both directions have in common: masks of few kinds, computed once each."""

    def __init__(self, roles: Roles, stop: int) -> None:
        self.roles = roles
        self.stop = stop
        self.symbols = roles.symbols()
        self._masks: dict[Hashable, Mask] = {}

    def _mask(self, key: Hashable, tokens: Callable[[], set[int]]) -> Mask:
        """The mask of what `tokens` gives; equal keys must have equal tokens."""
        if key not in self._masks:
            mask = np.zeros(self.roles.classes, np.bool_)
            mask[sorted(tokens())] = True
            self._masks[key] = mask
        return self._masks[key]
