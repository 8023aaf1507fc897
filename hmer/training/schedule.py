"""Learning-rate schedules as functions of the step."""

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
