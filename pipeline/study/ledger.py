"""What studies remember between two starts: finished work with its time, and failures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmer.files import atomic_file
from pipeline.resume import RESUME

HOME = f"{RESUME}/study"
"""Workspaces, logs and the ledger: outside git and DVC, and removed by `make clean`."""


class Ledger:
    """A small file of facts. Losing it costs seconds: DVC's run cache has the work itself."""

    def __init__(self, root: Path) -> None:
        self._path = root / HOME / "ledger.json"
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        self._done: dict[str, dict[str, Any]] = dict(kept.get("done", {}))
        self._spent: dict[str, float] = dict(kept.get("spent", {}))
        self._failed: dict[str, dict[str, str]] = dict(kept.get("failed", {}))

    def done(self, key: str) -> Mapping[str, Any] | None:
        """What is known of finished work: `seconds` (None if it came from a cache) and `data`."""
        return self._done.get(key)

    def finish(self, key: str, seconds: float | None, data: Mapping[str, Any] | None) -> None:
        """Work has ended well; interrupted attempts at it count, for a training resumes."""
        before = self._spent.pop(key, 0.0)
        total = None if seconds is None else round(before + seconds, 1)
        self._done[key] = {"seconds": total, "data": data}
        self._write()

    def spend(self, key: str, seconds: float) -> None:
        """An attempt was interrupted."""
        self._spent[key] = self._spent.get(key, 0.0) + seconds
        self._write()

    def fail(self, experiment: str, settings: str, reason: str) -> None:
        """An experiment has failed."""
        self._failed[experiment] = {"settings": settings, "reason": reason}
        self._write()

    def succeed(self, experiment: str) -> None:
        """Forget that it ever failed."""
        if self._failed.pop(experiment, None) is not None:
            self._write()

    def failure(self, experiment: str, settings: str) -> str | None:
        """Why an experiment with these settings failed last, if it did."""
        found = self._failed.get(experiment)
        return found["reason"] if found is not None and found["settings"] == settings else None

    def _write(self) -> None:
        content = {"done": self._done, "spent": self._spent, "failed": self._failed}
        with atomic_file(self._path) as partial:
            partial.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
