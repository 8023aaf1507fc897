"""Beam search over a step function with caches, batched over inputs and hypotheses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Step(Protocol):
    """Continues K hypotheses of each of B inputs by one token."""

    def __call__(
        self, tokens: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens (B, K) and caches (B, K, ...) to logits (B, K, V) and the grown caches."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A sequence that has ended, without start and stop."""

    tokens: tuple[int, ...]
    log_probability: float
    """Sum over the tokens and the stop token, as the model says (what is banned has its share)."""
    finished: bool
    """False where the length limit cut it off: the model would rather have gone on."""

    def rank(self, alpha: float) -> float:
        """What hypotheses are ranked by; see `beam_search`."""
        return float(self.log_probability / (len(self.tokens) + 1) ** alpha)


@torch.inference_mode()
def beam_search(
    step: Step,
    inputs: int,
    *,
    start: int,
    stop: int,
    banned: tuple[int, ...],
    beam: int,
    max_length: int,
    alpha: float = 1.0,
    device: torch.device | None = None,
) -> list[list[Hypothesis]]:
    """The best sequences for each of `inputs` inputs, best first.

    A hypothesis is ranked by its log-probability over its length (stop included) to the power
    `alpha`. An input is done when `beam` hypotheses are finished and the best one alive, judged
    by its length so far, is behind them (CoMER's rule; not a bound: by growing much longer it
    might yet overtake, which happens to repetitions rather than to expressions). The search ends
    when all inputs are done, or at the length limit, where the living end as they are.

    Args:
        step: the model.
        inputs: B.
        start: first token of every hypothesis.
        stop: token that ends one.
        banned: tokens that are never written.
        beam: K; 1 is greedy search.
        max_length: tokens of a hypothesis at most, without start and stop.
        alpha: power of the length that divides the log-probability.
        device: where the model is.

    Returns:
        For each input up to `beam` different hypotheses; none only if no sequence is possible.
    """
    if beam < 1 or max_length < 1:
        raise ValueError(f"beam and max_length must be at least 1, not {beam} and {max_length}")
    tokens = torch.full((inputs, 1), start, device=device)
    scores = torch.zeros(inputs, 1, device=device)
    written = torch.empty((inputs, 1, 0), dtype=torch.long, device=device)
    past: tuple[Tensor, ...] = ()
    forbidden = torch.tensor(banned, dtype=torch.long, device=device)
    finished: list[list[Hypothesis]] = [[] for _ in range(inputs)]
    done = [False] * inputs
    for length in range(max_length + 1):
        logits, past = step(tokens, past)
        steps = logits.float().log_softmax(dim=-1).index_fill(-1, forbidden, -torch.inf)
        total = scores.unsqueeze(-1) + steps
        vocabulary = total.shape[-1]
        width = min(2 * beam, total.shape[1] * vocabulary)
        best, index = total.flatten(1).topk(width, dim=1)
        origin, token = index // vocabulary, index % vocabulary
        ended = token == stop
        _collect(best, origin, ended, written, finished, done, beam=beam, alpha=alpha)
        if length == max_length:
            _cut_off(scores, total[..., stop], written, finished, done)
        if all(done):
            break
        # Few tokens may leave fewer than `beam` to live on; what has ended must not be among them.
        best = best.masked_fill(ended, -torch.inf)
        alive = ended.to(torch.uint8).argsort(dim=1, stable=True)[:, :beam]
        origin, token, scores = (x.gather(1, alive) for x in (origin, token, best))
        written = torch.cat(
            [written.gather(1, origin.unsqueeze(-1).expand(-1, -1, length)), token.unsqueeze(-1)],
            dim=2,
        )
        past = tuple(_reorder(cache, origin) for cache in past)
        tokens = token
    for found in finished:
        found.sort(key=lambda hypothesis: -hypothesis.rank(alpha))
    return [found[:beam] for found in finished]


def _reorder(cache: Tensor, origin: Tensor) -> Tensor:
    """Rows of a cache (B, K, ...) in the order of `origin` (B, K')."""
    index = origin.view(*origin.shape, *[1] * (cache.dim() - 2))
    return cache.gather(1, index.expand(*origin.shape, *cache.shape[2:]))


def _collect(
    best: Tensor,
    origin: Tensor,
    ended: Tensor,
    written: Tensor,
    finished: list[list[Hypothesis]],
    done: list[bool],
    *,
    beam: int,
    alpha: float,
) -> None:
    """File which of the candidates (B, 2 beam), best first, have ended; mark inputs as done.

    A stop counts only among the first `beam` candidates.
    """
    length = written.shape[2]
    score_rows, origin_rows, end_rows = best.tolist(), origin.tolist(), ended.tolist()
    for row, found in enumerate(finished):
        if done[row]:
            continue
        scores, ends = score_rows[row], end_rows[row]
        for rank in range(min(beam, len(scores))):
            if ends[rank] and scores[rank] > -math.inf:
                tokens = written[row, origin_rows[row][rank]].tolist()
                found.append(Hypothesis(tuple(tokens), scores[rank], True))
        living = [score for score, end in zip(scores, ends, strict=True) if not end]
        hope = living[0] / (length + 1) ** alpha if living else -math.inf
        if hope == -math.inf:
            done[row] = True
        elif len(found) >= beam:
            done[row] = sorted(h.rank(alpha) for h in found)[-beam] >= hope


def _cut_off(
    scores: Tensor,
    stopped: Tensor,
    written: Tensor,
    finished: list[list[Hypothesis]],
    done: list[bool],
) -> None:
    """File the living (B, K) that did not choose to stop; `stopped` is their score if they do."""
    score_rows, stopped_rows = scores.tolist(), stopped.tolist()
    for row, found in enumerate(finished):
        if done[row]:
            continue
        whole = {h.tokens for h in found}
        for score, score_stopped, tokens in zip(
            score_rows[row], stopped_rows[row], written[row].tolist(), strict=True
        ):
            if score > -math.inf and tuple(tokens) not in whole:
                found.append(Hypothesis(tuple(tokens), score_stopped, False))
        done[row] = True
