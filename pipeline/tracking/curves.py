"""Lightning's door to MLflow: curves, in batches."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import Logger

SECONDS = 10.0
POINTS = 1000

Point = tuple[int, str, float]
"""Step, name, value."""


class CurveLogger(Logger):
    """Collects points and sends them every ten seconds: one request costs what 100 steps do."""

    def __init__(self, stage: str, run: str, send: Callable[[list[Point]], None]) -> None:
        super().__init__()
        self._stage, self._run, self._send = stage, run, send
        self._points: list[Point] = []
        self._sent = time.monotonic()

    @property
    def name(self) -> str:
        """The stage."""
        return self._stage

    @property
    def version(self) -> str:
        """The MLflow run."""
        return self._run

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing: the stage logs its parameters itself."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Take the values of one step; those that are not finite have no place on a curve."""
        at = 0 if step is None else step
        self._points += [(at, k, float(v)) for k, v in metrics.items() if math.isfinite(v)]
        if len(self._points) >= POINTS or time.monotonic() - self._sent >= SECONDS:
            self.save()

    def save(self) -> None:
        """Send what has been collected."""
        if self._points:
            self._send(self._points)
            self._points = []
        self._sent = time.monotonic()

    def finalize(self, status: str) -> None:
        """Send the rest."""
        self.save()
