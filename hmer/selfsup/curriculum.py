"""The masking curriculum: how much ink is hidden at which point of the training."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Shape = Literal["linear", "cosine", "step", "none"]


class Curriculum(BaseModel):
    """Hidden share of the ink as a function of progress.

    *From the abstract*: masking is progressive. *Our design*: the shapes and numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(0.1, ge=0, le=0.9, description="share hidden at the beginning")
    end: float = Field(0.5, ge=0, le=0.9, description="share hidden at the end")
    shape: Shape = Field("linear", description="none: the end share from the beginning")
    steps: int = Field(4, ge=1, le=100, description="stairs of the shape `step`")

    def share(self, progress: float) -> float:
        """Share of the ink to hide at `progress` (0 at the beginning, 1 at the end)."""
        progress = min(1.0, max(0.0, progress))
        match self.shape:
            case "linear":
                grown = progress
            case "cosine":
                grown = 0.5 * (1 - math.cos(math.pi * progress))
            case "step":
                grown = min(1.0, math.floor(progress * self.steps) / max(1, self.steps - 1))
            case "none":
                grown = 1.0
        return self.start + (self.end - self.start) * grown
