"""Reading from both ends: two beam searches that judge each other's hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from hmer.decoding.beam import Hypothesis, Step, beam_search


class DecodingConfig(BaseModel):
    """How token sequences are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    beam: int = Field(10, ge=1, le=100, description="hypotheses per direction; 1 is greedy")
    both_directions: bool = Field(True, description="search from both ends and rescore")
    max_length: int = Field(200, ge=1, le=1000, description="tokens at most")
    alpha: float = Field(1.0, ge=0, le=4, description="power of the length that divides scores")


@dataclass(frozen=True, slots=True)
class Reading:
    """A sequence in reading order and what both directions think of it."""

    tokens: tuple[int, ...]
    score: float
    """What readings are ranked by: (forward + backward) / (n + 1) ** alpha, CoMER's rule."""
    confidence: float
    """Probability of the whole sequence, the geometric mean of both directions' opinions."""


@torch.inference_mode()
def search(
    step: Step,
    inputs: int,
    config: DecodingConfig,
    *,
    sos: int,
    eos: int,
    pad: int,
    device: torch.device | None = None,
) -> list[list[Reading]]:
    """The n-best readings of each input, best first.

    A left-to-right sequence starts with `sos` and stops with `eos`, a right-to-left one the other
    way round (BTTR). Hypotheses of either direction are scored by the other one too.
    """
    found: list[list[list[Hypothesis]]] = []
    for start, stop in ((sos, eos), (eos, sos))[: 1 + config.both_directions]:
        found.append(
            beam_search(
                step,
                inputs,
                start=start,
                stop=stop,
                banned=(pad, start),
                beam=config.beam,
                max_length=config.max_length,
                alpha=config.alpha,
                device=device,
            )
        )
    if not config.both_directions:
        return [
            [_reading(h.tokens, [h.log_probability], config.alpha) for h in row] for row in found[0]
        ]
    forward = [[h.tokens for h in row] for row in found[0]]
    backward = [[h.tokens[::-1] for h in row] for row in found[1]]
    merged = [list(dict.fromkeys([*a, *b])) for a, b in zip(forward, backward, strict=True)]
    opinions = [
        score_sequences(step, merged, start=sos, stop=eos, pad=pad, device=device),
        score_sequences(
            step, [[t[::-1] for t in row] for row in merged], start=eos, stop=sos, pad=pad,
            device=device,
        ),
    ]  # fmt: skip
    readings = [
        [
            _reading(tokens, [a, b], config.alpha)
            for tokens, a, b in zip(row, first, second, strict=True)
        ]
        for row, first, second in zip(merged, *opinions, strict=True)
    ]
    return [sorted(row, key=lambda reading: -reading.score) for row in readings]


def _reading(tokens: tuple[int, ...], opinions: Sequence[float], alpha: float) -> Reading:
    """Score a sequence by the log-probabilities that the directions give it."""
    total = torch.tensor(opinions, dtype=torch.float64)
    score = float(total.sum()) / (len(tokens) + 1) ** alpha
    return Reading(tokens, score, min(1.0, float(total.mean().exp())))


@torch.inference_mode()
def score_sequences(
    step: Step,
    sequences: Sequence[Sequence[Sequence[int]]],
    *,
    start: int,
    stop: int,
    pad: int,
    device: torch.device | None = None,
) -> list[list[float]]:
    """Log-probability of given sequences, stop token included.

    Args:
        step: the model.
        sequences: for each input, any number of sequences without start and stop.
        start: first token.
        stop: last token.
        pad: filler; what stands on it does not count.
        device: where the model is.
    """
    width = max(1, max((len(row) for row in sequences), default=0))
    longest = max((len(s) for row in sequences for s in row), default=0) + 1
    targets = torch.full((len(sequences), width, longest), pad, dtype=torch.long)
    for i, row in enumerate(sequences):
        for k, sequence in enumerate(row):
            targets[i, k, : len(sequence) + 1] = torch.tensor([*sequence, stop])
    targets = targets.to(device)
    tokens = torch.full_like(targets[..., 0], start)
    total = torch.zeros(targets.shape[:2], device=device)
    past: tuple[Tensor, ...] = ()
    for position in range(longest):
        logits, past = step(tokens, past)
        tokens = targets[..., position]
        said = logits.float().log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        total += said.masked_fill(tokens == pad, 0.0)
    return [total[i, : len(row)].tolist() for i, row in enumerate(sequences)]
