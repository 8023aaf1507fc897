"""Beam search over a step function with caches, batched over inputs, directions, hypotheses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hmer.decoding.step import Numbers, Step

Scores = NDArray[np.float64]
_NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A sequence that has ended, without start and stop."""

    tokens: tuple[int, ...]
    log_probability: float
    """Sum over the tokens and the stop token, as the model says (what is banned has its share)."""

    def rank(self, alpha: float) -> float:
        """What hypotheses are ranked by; see `search_directions`."""
        return float(self.log_probability / (len(self.tokens) + 1) ** alpha)


@dataclass(frozen=True, slots=True)
class Direction:
    """Where sequences start and stop; all directions are searched in one batch."""

    start: int
    """First token of every hypothesis."""
    stop: int
    """Token that ends one."""
    banned: tuple[int, ...]
    """Tokens that are never written."""


def search_directions(
    step: Step,
    inputs: int,
    directions: Sequence[Direction],
    *,
    beam: int,
    max_length: int | Sequence[int],
    alpha: float = 1.0,
) -> list[list[list[Hypothesis]]]:
    """The best sequences in each direction for each of `inputs` inputs, best first.

    A hypothesis is ranked by its log-probability over its length (stop included) to the power
    `alpha`. An input is done with a direction when `beam` hypotheses are finished and the best
    one alive, judged by its length so far, is behind them (CoMER's rule; not a bound: by growing
    much longer it might yet overtake, which happens to repetitions rather than to expressions).
    Inputs that are done leave the batch. The search ends when all are; at an input's length limit
    the living end as they are.

    Args:
        step: the model; the hypotheses of all directions are its K.
        inputs: B.
        directions: the D ways to write; searched as if each were alone.
        beam: hypotheses per direction; 1 is greedy search.
        max_length: tokens at most, without start and stop; of each input, or of all.
        alpha: power of the length that divides the log-probability.

    Returns:
        For each input and direction up to `beam` different hypotheses; none only if no sequence
        is possible.
    """
    limits = [max_length] * inputs if isinstance(max_length, int) else list(max_length)
    if beam < 1 or any(limit < 1 for limit in limits):
        raise ValueError(f"beam and max_length must be at least 1, not {beam} and {max_length}")
    if len(limits) != inputs:
        raise ValueError(f"{len(limits)} lengths for {inputs} inputs")
    if inputs == 0:
        return []
    found = [[_Found(beam, alpha, limit) for _ in directions] for limit in limits]
    state = _State.initial(step, found, directions)
    for length in range(max(limits) + 1):
        if not state.advance(beam, length):
            break
    return [[one.best() for one in row] for row in found]


class _Found:
    """The finished hypotheses of one input in one direction."""

    def __init__(self, beam: int, alpha: float, limit: int) -> None:
        self.beam = beam
        self.alpha = alpha
        self.limit = limit
        self.hypotheses: list[Hypothesis] = []
        self.done = False

    def add(self, tokens: list[int], score: float) -> None:
        self.hypotheses.append(Hypothesis(tuple(tokens), score))

    def best(self) -> list[Hypothesis]:
        return sorted(self.hypotheses, key=lambda h: -h.rank(self.alpha))[: self.beam]

    def judge(self, hope: float, length: int) -> None:
        """Done if `hope`, the best score alive after `length` tokens, is behind `beam` others."""
        if hope == _NEVER:
            self.done = True
        elif len(self.hypotheses) >= self.beam:
            self.done = self.best()[-1].rank(self.alpha) >= hope / length**self.alpha


@dataclass(slots=True)
class _State:
    """The living hypotheses: K of each of S slots (a direction) of each of B' inputs."""

    step: Step
    found: list[list[_Found]]
    """Per input and slot."""
    directions: list[list[Direction]]
    """Per input and slot."""
    scores: Scores
    """(B', S, K)"""
    written: Numbers
    """(B', S, K, t + 1), the start token included."""
    past: Any = None
    bans: Scores | None = None
    """(B', S, 1, V): -inf for what a direction never writes, elsewhere 0."""

    @classmethod
    def initial(
        cls, step: Step, found: list[list[_Found]], directions: Sequence[Direction]
    ) -> _State:
        """One hypothesis per input and direction, with the start token only."""
        starts = np.array([d.start for d in directions], np.int64).reshape(1, -1, 1, 1)
        return cls(
            step=step,
            found=found,
            directions=[list(directions) for _ in found],
            scores=np.zeros((len(found), len(directions), 1)),
            written=starts.repeat(len(found), axis=0),
        )

    def advance(self, beam: int, length: int) -> bool:
        """Write one more token after `length`; False when the search is over."""
        inputs, slots, width = self.scores.shape
        said, self.past = self.step(self.written[..., -1].reshape(inputs, -1), self.past)
        classes = said.shape[-1]
        total = said.reshape(inputs, slots, width, classes) + self._forbidden(classes)
        total += self.scores[..., None]
        best, origin, token = _best(total, 2 * beam)
        ended = token == np.array([[[d.stop] for d in row] for row in self.directions])
        self._collect(best, origin, ended, beam, length)
        self._cut_off(total, length)
        # Few tokens may leave fewer than `beam` to live on; what has ended must not be among them.
        best[ended] = _NEVER
        alive = ended.argsort(axis=2, kind="stable")[:, :, :beam]
        at = (*_places(inputs, slots), alive)
        return self._continue(best[at], origin[at], token[at])

    def _forbidden(self, classes: int) -> Scores:
        """-inf for what may not follow, of a shape that goes with (B', S, K, V)."""
        if self.bans is None:
            self.bans = np.zeros((*self.scores.shape[:2], 1, classes))
            for row, directions in enumerate(self.directions):
                for slot, direction in enumerate(directions):
                    self.bans[row, slot, 0, list(direction.banned)] = _NEVER
        return self.bans

    def _collect(
        self, best: Scores, origin: Numbers, ended: NDArray[np.bool_], beam: int, length: int
    ) -> None:
        """File which of the candidates (B', S, 2 beam), best first, have ended.

        A stop counts only among the first `beam` candidates.
        """
        # Lists: of so few numbers, quicker than arrays.
        lines = zip(self.found, best.tolist(), ended.tolist(), strict=True)
        for row, (slots, some, ends) in enumerate(lines):
            for slot, (one, scores, stopped) in enumerate(zip(slots, some, ends, strict=True)):
                if one.done:
                    continue
                for rank, (score, stops) in enumerate(zip(scores[:beam], stopped, strict=False)):
                    if stops and score > _NEVER:
                        tokens = self.written[row, slot, origin[row, slot, rank], 1:].tolist()
                        one.add(tokens, score)
                going = (score for score, stops in zip(scores, stopped, strict=True) if not stops)
                one.judge(next(going, _NEVER), length + 1)  # the first is the best

    def _cut_off(self, total: Scores, length: int) -> None:
        """File the living of limit `length` that did not choose to stop, scored as if they did.

        `total` (B', S, K, V) are the scores of the living and each token.
        """
        for row, slots in enumerate(self.found):
            for slot, found in enumerate(slots):
                if found.done or found.limit != length:
                    continue
                whole = {h.tokens for h in found.hypotheses}
                stopped = total[row, slot, :, self.directions[row][slot].stop].tolist()
                written = self.written[row, slot, :, 1:].tolist()
                for k, score in enumerate(self.scores[row, slot].tolist()):
                    if score > _NEVER and tuple(written[k]) not in whole:
                        found.add(written[k], stopped[k])
                found.done = True

    def _continue(self, scores: Scores, origin: Numbers, token: Numbers) -> bool:
        """Go on with the hypotheses (B', S, K) that `origin` and `token` give, where not done."""
        undone = [[s for s, one in enumerate(row) if not one.done] for row in self.found]
        rows = [row for row, slots in enumerate(undone) if slots]
        if not rows:
            return False
        inputs, slots, width = self.scores.shape
        some = max(len(undone[row]) for row in rows)
        chosen = [sorted(range(slots), key=lambda s: self.found[r][s].done)[:some] for r in rows]
        kept = np.array(rows)
        history = self.written
        if len(rows) < inputs or some < slots:
            # What is done leaves; a done direction stays where another input has more to do.
            at = kept[:, None], np.array(chosen)
            scores, origin, token, history = (x[at] for x in (scores, origin, token, history))
            self.found = [[self.found[r][s] for s in c] for r, c in zip(rows, chosen, strict=True)]
            self.directions = [
                [self.directions[r][s] for s in c] for r, c in zip(rows, chosen, strict=True)
            ]
            self.bans = None
            if len(rows) < inputs:
                self.step = self.step.keep(kept)
        flat = np.array(chosen)[:, :, None] * width + origin
        self.past = self.step.reorder(self.past, kept, flat.reshape(len(rows), -1))
        history = history[(*_places(*origin.shape[:2]), origin)]
        self.written = np.concatenate([history, token[..., None]], axis=3)
        self.scores = scores
        return True


def _places(inputs: int, slots: int) -> tuple[Numbers, Numbers]:
    """Indices of inputs and slots, to go with one of the third side: quicker than numpy's own."""
    return np.arange(inputs)[:, None, None], np.arange(slots)[None, :, None]


def _best(total: Scores, count: int) -> tuple[Scores, Numbers, Numbers]:
    """The `count` largest of (B, S, K, V): scores, hypotheses and tokens, (B, S, count), sorted."""
    inputs, slots, width, classes = total.shape
    flat = total.reshape(inputs, slots, width * classes)
    count, places = min(count, width * classes), _places(inputs, slots)
    index = np.argpartition(flat, width * classes - count, axis=2)[:, :, -count:]
    # By number, then by score: equal scores have one order on every machine.
    index.sort(axis=2)
    scores = flat[(*places, index)]
    order = (-scores).argsort(axis=2, kind="stable")
    index = index[(*places, order)]
    origin, token = np.divmod(index, classes)
    return scores[(*places, order)], origin, token
