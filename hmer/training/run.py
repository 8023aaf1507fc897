"""Where a training keeps its resume state, and its logger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers import Logger


@dataclass(frozen=True)
class RunContext:
    """Surroundings of one training; nothing in here may change its result."""

    resume: Path
    """Directory for the checkpoint; belongs to exactly this training (params, data and code)."""
    logger: Logger | None = None
    progress: bool = True
