"""Beam search over a step function with caches, batched over inputs, directions, hypotheses."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hmer.decoding.constraint import Constraint, stack_allowed
from hmer.decoding.step import ShrinkableStep, Step, reorder


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A sequence that has ended, without start and stop."""

    tokens: tuple[int, ...]
    log_probability: float
    """Sum over the tokens and the stop token, as the model says (what is banned has its share)."""
    finished: bool
    """False where the length limit cut it off: the model would rather have gone on."""

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
    constraint: Constraint | None = None
    """What else may not be written; all directions of a search have one, or none."""


def beam_search(
    step: Step,
    inputs: int,
    *,
    start: int,
    stop: int,
    banned: tuple[int, ...],
    beam: int,
    max_length: int | Sequence[int],
    alpha: float = 1.0,
    device: torch.device | None = None,
) -> list[list[Hypothesis]]:
    """The best sequences for each of `inputs` inputs; see `search_directions`."""
    found = search_directions(
        step, inputs, [Direction(start, stop, banned)],
        beam=beam, max_length=max_length, alpha=alpha, device=device,
    )  # fmt: skip
    return [row[0] for row in found]


@torch.inference_mode()
def search_directions(
    step: Step,
    inputs: int,
    directions: Sequence[Direction],
    *,
    beam: int,
    max_length: int | Sequence[int],
    alpha: float = 1.0,
    device: torch.device | None = None,
) -> list[list[list[Hypothesis]]]:
    """The best sequences in each direction for each of `inputs` inputs, best first.

    A hypothesis is ranked by its log-probability over its length (stop included) to the power
    `alpha`. An input is done with a direction when `beam` hypotheses are finished and the best
    one alive, judged by its length so far, is behind them (CoMER's rule; not a bound: by growing
    much longer it might yet overtake, which happens to repetitions rather than to expressions).
    Inputs that are done leave the batch if the step lets them. The search ends when all are; at
    an input's length limit the living end as they are.

    Args:
        step: the model; the hypotheses of all directions are its K.
        inputs: B.
        directions: the D ways to write; searched as if each were alone.
        beam: hypotheses per direction; 1 is greedy search.
        max_length: tokens of a hypothesis at most, without start and stop; of each input, or of
            all.
        alpha: power of the length that divides the log-probability.
        device: where the model is.

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
    state = _State.initial(step, found, directions, device)
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

    def add(self, tokens: list[int], score: float, *, finished: bool = True) -> None:
        self.hypotheses.append(Hypothesis(tuple(tokens), score, finished))

    def best(self) -> list[Hypothesis]:
        return sorted(self.hypotheses, key=lambda h: -h.rank(self.alpha))[: self.beam]

    def judge(self, hope: float, length: int) -> None:
        """Done if `hope`, the best score alive after `length` tokens, is behind `beam` others."""
        if hope == -math.inf:
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
    scores: Tensor
    """(B', S, K)"""
    written: Tensor
    """int64 (B', S, K, t + 1), the start token included."""
    automata: list[list[list[Hashable]]] | None
    """Per input, slot and hypothesis, the state of the direction's constraint."""
    past: tuple[Tensor, ...] = ()

    @classmethod
    def initial(
        cls,
        step: Step,
        found: list[list[_Found]],
        directions: Sequence[Direction],
        device: torch.device | None,
    ) -> _State:
        """One hypothesis per input and direction, with the start token only."""
        starts = torch.tensor([d.start for d in directions], device=device)
        constraints = [d.constraint for d in directions if d.constraint is not None]
        if len(constraints) not in (0, len(directions)):
            raise ValueError("either all directions of a search have a constraint, or none has")
        return cls(
            step=step,
            found=found,
            directions=[list(directions) for _ in found],
            scores=torch.zeros(len(found), len(directions), 1, device=device),
            written=starts.view(1, -1, 1, 1).expand(len(found), -1, -1, -1),
            automata=[[[c.start()] for c in constraints] for _ in found] if constraints else None,
        )

    def advance(self, beam: int, length: int) -> bool:
        """Write one more token after `length`; False when the search is over."""
        inputs, slots, width = self.scores.shape
        logits, self.past = self.step(self.written[..., -1].flatten(1), self.past)
        steps = logits.float().log_softmax(dim=-1).view(inputs, slots, width, -1)
        steps = steps.masked_fill(self._forbidden(steps, length), -torch.inf)
        total = self.scores.unsqueeze(-1) + steps
        classes = total.shape[-1]
        best, index = total.flatten(2).topk(min(2 * beam, width * classes), dim=2)
        origin, token = index // classes, index % classes
        stops = torch.tensor([[d.stop for d in row] for row in self.directions])
        ended = token == stops.to(token.device).unsqueeze(-1)
        self._collect(best, origin, ended, beam, length)
        self._cut_off(total, length)
        # Few tokens may leave fewer than `beam` to live on; what has ended must not be among them.
        best = best.masked_fill(ended, -torch.inf)
        alive = ended.to(torch.uint8).argsort(dim=2, stable=True)[:, :, :beam]
        return self._continue(*(x.gather(2, alive) for x in (best, origin, token)))

    def _forbidden(self, steps: Tensor, length: int) -> Tensor:
        """What may not follow `length` tokens: bool, of a shape that goes with (B', S, K, V)."""
        ban = torch.zeros(*steps.shape[:2], 1, steps.shape[-1], dtype=torch.bool)
        for row, directions in enumerate(self.directions):
            for slot, direction in enumerate(directions):
                ban[row, slot, 0, list(direction.banned)] = True
        if self.automata is not None:
            every = [
                (direction.constraint, state, max(0, one.limit - length))
                for row, states, found in zip(
                    self.directions, self.automata, self.found, strict=True
                )
                for direction, line, one in zip(row, states, found, strict=True)
                for state in line
                if direction.constraint is not None
            ]
            masks = stack_allowed(*(list(column) for column in zip(*every, strict=True)))
            ban = ban | ~masks.view(steps.shape)
        return ban.to(steps.device)

    def _collect(self, best: Tensor, origin: Tensor, ended: Tensor, beam: int, length: int) -> None:
        """File which of the candidates (B', S, 2 beam), best first, have ended.

        A stop counts only among the first `beam` candidates.
        """
        scores, origins, ends = best.tolist(), origin.tolist(), ended.tolist()
        for row, slots in enumerate(self.found):
            for slot, found in enumerate(slots):
                if found.done:
                    continue
                line, over = scores[row][slot], ends[row][slot]
                for rank in range(min(beam, len(line))):
                    if over[rank] and line[rank] > -math.inf:
                        tokens = self.written[row, slot, origins[row][slot][rank], 1:].tolist()
                        found.add(tokens, line[rank])
                living = (score for score, end in zip(line, over, strict=True) if not end)
                found.judge(next(living, -math.inf), length + 1)

    def _cut_off(self, total: Tensor, length: int) -> None:
        """File the living of limit `length` that did not choose to stop, scored as if they did.

        Args:
            total: (B', S, K, V), scores of the living and each token.
            length: tokens that all of them have.
        """
        if not any(one.limit == length for row in self.found for one in row):
            return
        scores, written = self.scores.tolist(), self.written[..., 1:].tolist()
        for row, slots in enumerate(self.found):
            for slot, found in enumerate(slots):
                if found.done or found.limit != length:
                    continue
                whole = {h.tokens for h in found.hypotheses}
                stopped = total[row, slot, :, self.directions[row][slot].stop].tolist()
                for k, tokens in enumerate(written[row][slot]):
                    if scores[row][slot][k] > -math.inf and tuple(tokens) not in whole:
                        found.add(tokens, stopped[k], finished=False)
                found.done = True

    def _continue(self, scores: Tensor, origin: Tensor, token: Tensor) -> bool:
        """Go on with the hypotheses (B', S, K) that `origin` and `token` give, where not done."""
        rows, slots = self._undone()
        if not rows:
            return False
        width = self.scores.shape[2]
        at = torch.tensor(rows, device=origin.device), torch.tensor(slots, device=origin.device)
        scores, origin, token = (x[at[0].unsqueeze(1), at[1]] for x in (scores, origin, token))
        if self.automata is not None:
            self.automata = [
                [
                    self._automaton(row, slot, origin[i, s], token[i, s], scores[i, s])
                    for s, slot in enumerate(slots[i])
                ]
                for i, row in enumerate(rows)
            ]
        if len(rows) < len(self.found) and isinstance(self.step, ShrinkableStep):
            self.step = self.step.keep(at[0])
        flat = at[1].unsqueeze(-1) * width + origin
        self.past = reorder(self.past, at[0], flat.flatten(1))
        history = self.written[at[0].unsqueeze(1), at[1]]
        index = origin.unsqueeze(-1).expand(*origin.shape, history.shape[-1])
        self.written = torch.cat([history.gather(2, index), token.unsqueeze(-1)], dim=-1)
        self.scores = scores
        self.found = [[self.found[r][s] for s in line] for r, line in zip(rows, slots, strict=True)]
        self.directions = [
            [self.directions[r][s] for s in line] for r, line in zip(rows, slots, strict=True)
        ]
        return True

    def _undone(self) -> tuple[list[int], list[list[int]]]:
        """Inputs that go on and, for each, as many of its slots (what is not done first)."""
        shrinks = isinstance(self.step, ShrinkableStep)
        undone = [[s for s, one in enumerate(row) if not one.done] for row in self.found]
        if not any(undone):
            return [], []
        rows = [row for row, slots in enumerate(undone) if slots or not shrinks]
        width = max(len(slots) for slots in undone)
        others = [[s for s in range(len(row)) if row[s].done] for row in self.found]
        return rows, [(undone[row] + others[row])[:width] for row in rows]

    def _automaton(
        self, row: int, slot: int, origin: Tensor, token: Tensor, scores: Tensor
    ) -> list[Hashable]:
        """The states of the hypotheses (K,) that continue those of a slot."""
        constraint, states = self.directions[row][slot].constraint, self.automata
        assert constraint is not None and states is not None
        before = states[row][slot]
        return [
            # What is impossible may have written anything; nothing comes of it.
            constraint.advance(before[o], t) if score > -math.inf else constraint.start()
            for o, t, score in zip(origin.tolist(), token.tolist(), scores.tolist(), strict=True)
        ]
