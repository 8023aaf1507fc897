"""The masking curriculum: how much ink is hidden at which point of the training."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Shape = Literal["linear", "cosine", "step", "fixed", "none"]

MOST = 0.9
"""Largest share that may be hidden: something has to be left to match from."""


class Curriculum(BaseModel):
    """Hidden share of the ink as a function of progress.

    *From the abstract* (arXiv 2508.06107): masking is progressive. *Our design*: the shapes and
    numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(0.1, ge=0, description="share hidden at the beginning, at most 0.9")
    end: float = Field(0.5, ge=0, description="share hidden at the end, at most 0.9")
    shape: Shape = Field(
        "linear",
        description="linear, cosine and step grow from start to end; fixed: the end share from the "
        "beginning; none: nothing is ever hidden",
    )
    steps: int = Field(4, ge=1, le=100, description="stairs of the shape `step`")

    @field_validator("start", "end")
    @classmethod
    def _leaves_something(cls, share: float) -> float:
        if not share <= MOST:
            raise ValueError(
                f"this would hide {'everything' if share >= 1 else 'nearly everything'} and leave "
                f"nothing to match from; hide at most {MOST} of the ink"
            )
        return share

    def share(self, progress: float) -> float:
        """Share of the ink to hide at `progress` (0 at the beginning, 1 at the end)."""
        progress = min(1.0, max(0.0, progress))
        match self.shape:
            case "none":
                return 0.0
            case "linear":
                grown = progress
            case "cosine":
                grown = 0.5 * (1 - math.cos(math.pi * progress))
            case "step":
                grown = min(1.0, math.floor(progress * self.steps) / max(1, self.steps - 1))
            case "fixed":
                grown = 1.0
        return self.start + (self.end - self.start) * grown
