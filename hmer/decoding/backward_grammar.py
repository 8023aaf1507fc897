"""The caption grammar from right to left; see `hmer.decoding.grammar`.

What a group is for, the mark or command to its left says, which is written after it: until then a
group is taken for a bare one, which is always possible. So a row remembers what stands at its left
end, how many groups there follow one another (as many a command may take), which scripts hang
there, and of each closing bracket whether it could end a root's index.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple, cast

from hmer.decoding.constraint import Mask
from hmer.decoding.grammar import Automaton


class End(Enum):
    """What stands at the left end of a row."""

    NOTHING = "the row is empty"
    SYMBOL = "a symbol or a command"
    BRACKET = "an opening bracket that could open the index of a root"
    SCRIPT = "a script mark, which waits for its base or the row's start"
    LIMITS = "the limits mark, which waits for a symbol"
    GROUP = "a group"


class BackwardRow(NamedTuple):
    """A row as far as it is written."""

    end: End = End.NOTHING
    scripts: frozenset[int] = frozenset()
    """Script marks that hang on what stands, or will stand, at the left end."""
    run: int = 0
    """Groups that follow one another from the left end on, only the last with scripts."""
    indices: tuple[bool, ...] = ()
    """Closing brackets that belong to no root yet, from the left: whether a group follows."""
    height: int = 0
    """Levels of groups below this row, at least."""


Rows = tuple[BackwardRow, ...]
"""The state of a hypothesis: open rows, the innermost last."""

_FRESH = BackwardRow()


class BackwardGrammar(Automaton):
    """A `Constraint` for hypotheses that are written from right to left."""

    def start(self) -> Hashable:
        """See `Constraint`."""
        return (_FRESH,)

    def advance(self, state: Hashable, token: int) -> Hashable:
        """See `Constraint`."""
        rows = cast(Rows, state)
        *outer, row = rows
        roles = self.roles
        if token == roles.closing:
            return (*rows, _FRESH)
        if token == roles.opening:
            below, parent = row.height + 1, outer[-1]
            run = parent.run + 1 if parent.end is End.GROUP else 1
            scripts = parent.scripts if parent.end is End.SCRIPT else frozenset()
            grown = parent._replace(
                end=End.GROUP, run=run, scripts=scripts, height=max(parent.height, below)
            )
            return (*outer[:-1], grown)
        return (*outer, self._left_of(row, token))

    def _left_of(self, row: BackwardRow, token: int) -> BackwardRow:
        """The row with one more token that is no brace."""
        roles = self.roles
        if token in roles.scripts:
            return row._replace(end=End.SCRIPT, scripts=row.scripts | {token}, run=0)
        if token == roles.limits:
            return row._replace(end=End.LIMITS, run=0)
        bare = row._replace(end=End.SYMBOL, scripts=frozenset(), run=0)
        if token == roles.root and row.end is End.BRACKET:
            return bare._replace(indices=row.indices[1:], height=row.height + 1)
        if token == roles.index_closing:
            return bare._replace(indices=(row.end is End.GROUP, *row.indices))
        if token == roles.index_opening and row.indices[:1] == (True,):
            return bare if row.end is End.LIMITS else bare._replace(end=End.BRACKET)
        return bare

    def allowed(self, state: Hashable, left: int) -> Mask:
        """See `Constraint`."""
        rows = cast(Rows, state)
        row, depth = rows[-1], len(rows) - 1
        room = min(left - depth - (row.end is End.LIMITS), 2)
        # Every row above may yet be found to lie in an index, which is one level more.
        deep = depth >= self.roles.max_depth
        indexed = depth + row.height + 1 <= self.roles.max_depth
        kind = (row.end, row.scripts, min(row.run, _RUN), depth > 0, room, deep, indexed)
        return self._mask(kind, lambda: self._tokens(row, depth > 0, room, deep, indexed))

    def _tokens(
        self, row: BackwardRow, nested: bool, room: int, deep: bool, indexed: bool
    ) -> set[int]:
        """Allowed tokens with `room` more than what opens the open rows."""
        roles = self.roles
        if row.end is End.LIMITS:
            return set(self.symbols)
        found = set(self.symbols) if room >= 1 else set()
        if nested:
            assert roles.opening is not None
            found.add(roles.opening)
        else:
            found.add(self.stop)
        if not roles.braces:
            return found
        if room >= 2 and not deep:
            assert roles.closing is not None
            found.add(roles.closing)
        if room >= 2 and row.end is End.SCRIPT and roles.limits is not None:
            found.add(roles.limits)
        if room >= 1 and row.end is End.GROUP:
            found |= set(roles.scripts) - row.scripts
            found |= {t for t, groups in roles.commands.items() if groups <= row.run}
        if room >= 1 and row.end is End.BRACKET and roles.root is not None and indexed:
            found.add(roles.root)
        return found


_RUN = 8
"""As many groups as any command takes, and more."""
