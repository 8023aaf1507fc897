"""The caption grammar from left to right; see `hmer.decoding.grammar`."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple, cast

from hmer.decoding.constraint import Mask
from hmer.decoding.grammar import Automaton


class Mode(Enum):
    """What the innermost row waits for."""

    START = "anything: the row is empty"
    AFTER = "anything: a node may get scripts, or the next one begins"
    SCRIPT = "a script mark, after the limits mark"
    ROOT = "the index or the group of a root"
    GROUP = "an opening brace"


class Here(NamedTuple):
    """A mode with what belongs to it."""

    mode: Mode
    taken: frozenset[int] = frozenset()
    """AFTER: script marks that the node has. GROUP of a script: those it will have."""
    limits: bool = False
    """AFTER: the limits mark may follow."""
    groups: int = 0
    """GROUP: how many the command still needs; 0 for the group of a script."""


class Frame(NamedTuple):
    """An open group, and what comes when it is closed."""

    then: Here
    bracket: bool


class State(NamedTuple):
    """Where a hypothesis stands."""

    here: Here
    frames: tuple[Frame, ...]
    due: int
    """Tokens that closing the frames and what must follow them takes at least."""


_START = Here(Mode.START)
_ONE_GROUP = Here(Mode.GROUP, groups=1)


def _due(here: Here) -> int:
    """Tokens that a mode needs at least before its row may end."""
    if here.mode is Mode.GROUP:
        return 2 * max(here.groups, 1)
    return {Mode.SCRIPT: 3, Mode.ROOT: 2}.get(here.mode, 0)


class ForwardGrammar(Automaton):
    """A `Constraint` for hypotheses that are written from left to right."""

    def start(self) -> Hashable:
        """See `Constraint`."""
        return State(_START, (), 0)

    def advance(self, state: Hashable, token: int) -> Hashable:
        """See `Constraint`."""
        state = cast(State, state)
        here, roles = state.here, self.roles
        top = state.frames[-1] if state.frames else None
        if here.mode is Mode.ROOT and token == roles.index_opening:
            return self._opened(state, _ONE_GROUP, bracket=True)
        if token == roles.opening:
            return self._opened(state, _after_group(here), bracket=False)
        if top is not None and token == (roles.index_closing if top.bracket else roles.closing):
            return State(top.then, state.frames[:-1], state.due - 1 - _due(top.then))
        if token in roles.scripts:
            then = Here(Mode.GROUP, here.taken | {token})
        elif token == roles.limits:
            then = Here(Mode.SCRIPT)
        elif token == roles.root and roles.index_opening is not None:
            then = Here(Mode.ROOT)
        elif token in roles.commands:
            then = Here(Mode.GROUP, groups=roles.commands[token])
        else:
            then = Here(Mode.AFTER, limits=True)
        return state._replace(here=then)

    def allowed(self, state: Hashable, left: int) -> Mask:
        """See `Constraint`."""
        state = cast(State, state)
        bracket = state.frames[-1].bracket if state.frames else None
        room = min(left - state.due, _ROOM)
        deep = len(state.frames) >= self.roles.max_depth
        here = state.here
        return self._mask(
            (here, bracket, room, deep), lambda: self._tokens(here, bracket, room, deep)
        )

    def _opened(self, state: State, then: Here, *, bracket: bool) -> State:
        return State(_START, (*state.frames, Frame(then, bracket)), state.due + 1 + _due(then))

    def _tokens(self, here: Here, bracket: bool | None, room: int, deep: bool) -> set[int]:
        """Allowed tokens with `room` more than what closes the frames."""
        roles = self.roles
        opening = set() if roles.opening is None else {roles.opening}
        if here.mode is Mode.GROUP:
            return opening
        if here.mode is Mode.ROOT:
            # The index is two tokens more than the group alone.
            assert roles.index_opening is not None
            return opening | ({roles.index_opening} if room >= 4 else set())
        if here.mode is Mode.SCRIPT:
            return set(roles.scripts)
        found = set(self.symbols) if room >= 1 else set()
        if bracket is None:
            found.add(self.stop)
        elif bracket:
            assert roles.index_closing is not None
            found.add(roles.index_closing)
        else:
            assert roles.closing is not None
            found.add(roles.closing)
        if deep or not roles.braces:
            return found
        if room >= 2:
            found |= opening
        if room >= 3:
            found |= set(roles.scripts) - here.taken
        if room >= 4 and here.limits and roles.limits is not None:
            found.add(roles.limits)
        found |= {t for t, groups in roles.commands.items() if room >= 1 + 2 * groups}
        return found


_ROOM = 16
"""As much as any single token needs; more makes no difference."""


def _after_group(here: Here) -> Here:
    """What comes after a group that is opened `here`."""
    if here.mode is Mode.GROUP and here.groups > 1:
        return here._replace(groups=here.groups - 1)
    if here.mode is Mode.GROUP and not here.groups:
        return Here(Mode.AFTER, here.taken)
    return Here(Mode.AFTER)
