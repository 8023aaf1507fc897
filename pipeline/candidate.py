"""The model that asks to be registered, and what is known of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.promotion import Score
from pipeline.resume import content_digest
from pipeline.sections import lookup

FILES = ("model.safetensors", "model.json")
"""What a recogniser consists of."""


@dataclass(frozen=True)
class Candidate:
    """A trained recogniser with its score on one test set."""

    model: Path
    weights: str
    split: str
    test: Path
    score: Score
    metrics: dict[str, Any]


def candidate(model: Path, dataset: Path, metrics: Path, split: str) -> Candidate:
    """Collect digests and numbers.

    Raises:
        HmerError: no such test set, or no score for it.
    """
    split = _split(dataset, split)
    test = dataset / f"{split}.parquet"
    values = json.loads(metrics.read_text(encoding="utf-8"))
    try:
        exprate = float(lookup(values, f"{split}.exprate"))
    except KeyError:
        raise HmerError(
            f"{metrics.name} has no ExpRate of {split}: run `dvc repro evaluate`"
        ) from None
    weights = ":".join(content_digest(model / name) for name in FILES)
    score = Score(exprate, content_digest(test))
    return Candidate(model, _short(weights), split, test, score, dict(values[split]))


def _split(dataset: Path, split: str) -> str:
    tests = sorted(path.stem for path in dataset.glob("test*.parquet"))
    if split in tests:
        return split
    if split == "auto" and len(tests) == 1:
        return tests[0]
    there = ", ".join(tests) or "none"
    if split == "auto":
        raise HmerError(f"register.split = 'auto' needs one test set, there are: {there}; name one")
    raise HmerError(f"register.split = {split!r}: no such test set; there are: {there}")


def _short(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
