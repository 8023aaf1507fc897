"""The model that asks to be registered, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.registry.comparison import EVIDENCE, Evidence, read_evidence
from pipeline.resume import content_digest
from pipeline.sections import lookup

FILES = ("model.safetensors", "model.json")
"""What a recogniser consists of."""
FOLDER = "data/models/finetune"
"""Where the pipeline leaves the recogniser."""
STAGE = "finetune"
"""The stage that does."""


@dataclass(frozen=True)
class Score:
    """What the decision rests on: an ExpRate (percent) and the digest of the data behind it."""

    exprate: float
    data: str


@dataclass(frozen=True)
class Candidate:
    """A trained recogniser with its score on one test set.

    `weights` is a digest over all of its files, `sha256` that of the weights alone. `report` is the
    folder with the evaluation on that set.
    """

    model: Path
    weights: str
    sha256: str
    split: str
    test: Path
    score: Score
    metrics: dict[str, Any]
    report: Path
    evidence: Evidence


def candidate(model: Path, dataset: Path, evaluation: Path, split: str) -> Candidate:
    """Collect digests and numbers.

    Args:
        model: folder of the recogniser.
        dataset: folder with the test sets.
        evaluation: folder that the stage `evaluate` has written.
        split: the test set that decides, or `auto`.

    Raises:
        HmerError: no such test set, or no score for it.
    """
    split = _split(dataset, split)
    test = dataset / f"{split}.parquet"
    metrics = evaluation / "metrics.json"
    try:
        values = json.loads(metrics.read_text(encoding="utf-8"))
        exprate = float(lookup(values, f"{split}.exprate"))
    except (OSError, KeyError, ValueError):
        raise HmerError(
            f"{metrics.name} has no ExpRate of {split}: run `dvc repro evaluate`"
        ) from None
    digests = [content_digest(model / name) for name in FILES]
    report = evaluation / split
    if not (report / EVIDENCE[0]).is_file():
        raise HmerError(f"{report / EVIDENCE[0]} is missing: run `dvc repro evaluate`")
    return Candidate(
        model=model,
        weights=hashlib.sha256(":".join(digests).encode()).hexdigest(),
        sha256=digests[0],
        split=split,
        test=test,
        score=Score(exprate, content_digest(test)),
        metrics=dict(values[split]),
        report=report,
        evidence=read_evidence(report),
    )


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
