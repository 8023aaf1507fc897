"""Which brackets of a row belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CLOSING = {")": "(", "]": "[", r"\}": r"\{", "|": "|"}
"""Closing brackets and what opens them; a bar does both."""

_OPENING = frozenset(CLOSING.values())


def bracket_pairs(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions of matched brackets in a row, inner pairs first."""
    open_at: list[int] = []
    for place, token in enumerate(tokens):
        opening = CLOSING.get(token)
        if opening is not None and open_at and tokens[open_at[-1]] == opening:
            yield open_at.pop(), place
        elif token in _OPENING:
            open_at.append(place)
