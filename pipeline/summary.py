"""The few lines at the end of a run: what came out, and what to do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVALUATION = "reports/evaluation.json"
REGISTRATION = "reports/registration.json"
PAGE = "reports/evaluation/index.html"


def summary(root: Path) -> str:
    """The lines; where there is nothing yet, what to run."""
    evaluation, registration = _read(root / EVALUATION), _read(root / REGISTRATION)
    if not evaluation:
        return "Nothing has been evaluated yet: run `make repro`."
    lines = [_scores(split, values) for split, values in _by_split(evaluation)]
    if registration:
        lines.append(
            f"Registered as {registration['model']} version {registration['version']}, "
            f"{registration['decision']}: {registration['reason']}"
        )
        if "split_reason" in registration:
            lines.append(f"Compared on {registration['split']}: {registration['split_reason']}")
    lines += [
        f"Report:     {PAGE} (open in a browser)",
        "Runs:       make ui, then http://127.0.0.1:5000",
        "Recognise:  .venv/bin/hmer recognize --model data/models/champion PICTURE.png",
    ]
    return "\n".join(lines)


def _by_split(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    splits = [(name, value) for name, value in evaluation.items() if isinstance(value, dict)]
    return [split for split in splits if "exprate" in split[1]] or [("test", evaluation)]


def _scores(split: str, values: dict[str, Any]) -> str:
    labels = {"exprate": "ExpRate", "le1": "<=1", "le2": "<=2", "le3": "<=3", "cer": "CER"}
    told = [f"{text} {values[key]:.2f} %" for key, text in labels.items() if key in values]
    return f"{split + ':':<11} {', '.join(told)}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
