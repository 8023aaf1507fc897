"""Where ink contradicts its caption: a superscript that is not above, a bar beside its fraction.

Hands are sloppy, so the rules are wide: nearly all real ink keeps them. They are there to catch
expressions that a generator has put together wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hmer.latex.commands import ROOT
from hmer.latex.tree import Relation
from hmer.synthesis.structure.parts import Box, Part, extent

_BAR = "\\frac"
_DESCENT = 0.35  # of its height, from the top, below which a symbol's subscript is: y has a tail
_BACK = 0.25  # of its width that a symbol may begin before the one on its left


def faults(row: Sequence[Part]) -> Iterator[str]:
    """Every place at which the ink of an expression contradicts its tree, in words."""
    before: Part | None = None
    for part in row:
        if before is not None and not _follows(before, part):
            yield f"{part.token or 'a group'} is not to the right of {before.token or 'a group'}"
        for relation, below in part.rows:
            if below and part.token and not _stands(part, relation, below):
                yield f"the {relation} row of {part.token} is not where it should be"
            yield from faults(below)
        before = part if part.token else None


def _follows(before: Part, part: Part) -> bool:
    if not part.token:
        return True
    one, other = before.box(), part.box()
    return (one[0] + one[2]) / 2 < (other[0] + other[2]) / 2 + _BACK * (other[2] - other[0])


def _stands(part: Part, relation: Relation, below: Sequence[Part]) -> bool:
    own, row = part.box(), extent(below)
    x, y = _middle(row)
    _, height = _middle(own)
    if part.token == ROOT and relation is Relation.INSIDE:
        return own[0] < x < own[2] and own[1] < y < own[3] + 0.5 * (own[3] - own[1])
    if part.token == _BAR:
        inside = own[0] <= x <= own[2]
        return inside and (y < height if relation is Relation.ABOVE else y > height)
    if relation in (Relation.SUP, Relation.ABOVE):
        return y < height
    if relation in (Relation.SUB, Relation.BELOW):
        return y > own[1] + _DESCENT * (own[3] - own[1])
    return True


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
