"""Learning-rate schedules: a factor of the peak rate as a function of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Linear warm-up to 1, then half a cosine to 0 at `total` (Loshchilov and Hutter, 2017).

    Args:
        step: steps done, from 0.
        total: steps in all.
        warmup: steps of the linear part.
    """
    if step < warmup:
        return (step + 1) / warmup
    if total <= warmup:
        return 1.0
    share = min(1.0, (step - warmup) / (total - warmup))
    return 0.5 * (1 + math.cos(math.pi * share))


def warmup_stable_decay(step: int, total: int, warmup: int, decay: int) -> float:
    """Linear warm-up to 1, a plateau, and 1 - sqrt to 0 over the last `decay` steps.

    Before the decay nothing depends on `total`, so a training can go on for ever, and a decay
    branch can start from any checkpoint of the plateau (Haegele et al., 2024, arXiv 2405.18392).

    Args:
        step: steps done, from 0.
        total: steps in all.
        warmup: steps of the linear part.
        decay: steps of the last part.
    """
    if step < warmup:
        return (step + 1) / warmup
    decayed = step - (total - decay)
    return 1.0 if decayed <= 0 else 1 - math.sqrt(min(1.0, decayed / decay))
