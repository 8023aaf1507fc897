"""Beam search over a step function with caches, batched over inputs and hypotheses."""

from __future__ import annotations

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
    """A finished sequence, without start and stop."""

    tokens: tuple[int, ...]
    log_probability: float
    """Sum over the tokens and the stop token."""
    finished: bool
    """False where the length limit cut it off."""


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
    `alpha`. An input is done when `beam` hypotheses are finished and none alive can overtake
    them; the search ends when all inputs are.

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
    """
    if beam < 1 or max_length < 1:
        raise ValueError(f"beam and max_length must be at least 1, not {beam} and {max_length}")
    tokens = torch.full((inputs, 1), start, device=device)
    scores = torch.zeros(inputs, 1, device=device)
    written = torch.empty((inputs, 1, 0), dtype=torch.long, device=device)
    past: tuple[Tensor, ...] = ()
    finished: list[list[Hypothesis]] = [[] for _ in range(inputs)]
    done = [False] * inputs
    for length in range(max_length + 1):
        logits, past = step(tokens, past)
        logits = logits.float()
        logits[..., list(banned)] = -torch.inf
        steps = logits.log_softmax(dim=-1)
        total = scores.unsqueeze(-1) + steps
        vocabulary = total.shape[-1]
        width = min(2 * beam, total.shape[1] * vocabulary)
        best, index = total.flatten(1).topk(width, dim=1)
        origin, token = index // vocabulary, index % vocabulary
        alive = _collect(
            best, origin, token, written, finished, done,
            stop=stop, beam=beam, length=length, limit=max_length, alpha=alpha,
        )  # fmt: skip
        if all(done):
            break
        origin, token, scores = (x.gather(1, alive) for x in (origin, token, best))
        written = torch.cat(
            [written.gather(1, origin.unsqueeze(-1).expand(-1, -1, length)), token.unsqueeze(-1)],
            dim=2,
        )
        past = tuple(_reorder(cache, origin) for cache in past)
        tokens = token
    for found in finished:
        found.sort(key=lambda h: -h.log_probability / (len(h.tokens) + 1) ** alpha)
    return [found[:beam] for found in finished]


def _reorder(cache: Tensor, origin: Tensor) -> Tensor:
    """Rows of a cache (B, K, ...) in the order of `origin` (B, K')."""
    index = origin.view(*origin.shape, *[1] * (cache.dim() - 2))
    return cache.gather(1, index.expand(*origin.shape, *cache.shape[2:]))


def _collect(
    best: Tensor,
    origin: Tensor,
    token: Tensor,
    written: Tensor,
    finished: list[list[Hypothesis]],
    done: list[bool],
    *,
    stop: int,
    beam: int,
    length: int,
    limit: int,
    alpha: float,
) -> Tensor:
    """File what has ended; which of the candidates (B, 2 beam) live on: (B, beam) indices.

    A stop counts only among the first `beam` candidates. At the length limit the living are
    filed as unfinished.
    """
    ended = token == stop
    score_rows, origin_rows, end_rows = best.tolist(), origin.tolist(), ended.tolist()
    for row, found in enumerate(finished):
        if done[row]:
            continue
        for rank, ends in enumerate(end_rows[row][:beam]):
            last = length == limit
            if score_rows[row][rank] == float("-inf") or not (ends or last):
                continue
            tokens = written[row, origin_rows[row][rank]].tolist()
            found.append(Hypothesis(tuple(tokens), score_rows[row][rank], ends))
        if length == limit:
            done[row] = True
        elif len(found) >= beam:
            living = [s for s, e in zip(score_rows[row], end_rows[row], strict=True) if not e]
            ranks = sorted(h.log_probability / (len(h.tokens) + 1) ** alpha for h in found)
            # A living hypothesis can at best keep its sum and grow to the limit.
            # CoMER's rule: the best living one, judged by its length so far.
            hope = living[0] / (length + 1) ** alpha if living else float("-inf")
            done[row] = ranks[-beam] >= hope
    order = torch.where(ended, 1, 0).argsort(dim=1, stable=True)
    return order[:, :beam]
