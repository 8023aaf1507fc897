"""The model that asks to be registered, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from hmer.ingest.sources.base import held_out
from pipeline.registry.comparison import EVIDENCE, Evidence, read_evidence
from pipeline.resume import content_digest
from pipeline.sections import lookup

FILES = ("model.safetensors", "model.json")
"""What a recogniser consists of."""
FOLDER = "data/models/finetune"
"""Where the pipeline leaves the recogniser."""
STAGE = "finetune"
"""The stage that does."""
AUTO = {
    "dev": "the development set",
    "val": "the validation split, for there is no development set",
    "test": "a test set, for there is nothing else: its score is selected on from now on",
}
"""How the names of splits begin, in the order in which `auto` takes them, and why."""


@dataclass(frozen=True)
class Score:
    """What the decision rests on: an ExpRate (percent) and the digest of the data behind it."""

    exprate: float
    data: str


@dataclass(frozen=True)
class Candidate:
    """A trained recogniser with its score on the split that decides.

    `reason` says why it is this split. `test` is its file. `weights` is a digest over all of the
    recogniser's files, `sha256` that of the weights alone. `report` is the folder with the
    evaluation on that set.
    """

    model: Path
    weights: str
    sha256: str
    split: str
    reason: str
    test: Path
    score: Score
    metrics: dict[str, Any]
    report: Path
    evidence: Evidence


def candidate(model: Path, dataset: Path, evaluation: Path, split: str) -> Candidate:
    """Collect digests and numbers.

    Args:
        model: folder of the recogniser.
        dataset: folder with the splits.
        evaluation: folder that the stage `evaluate` has written.
        split: the one that decides, or `auto`.

    Raises:
        HmerError: no such split, or no score for it.
    """
    split, reason = deciding_split(dataset, split)
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
        reason=reason,
        test=test,
        score=Score(exprate, content_digest(test)),
        metrics=dict(values[split]),
        report=report,
        evidence=read_evidence(report),
    )


def deciding_split(dataset: Path, wanted: str) -> tuple[str, str]:
    """The split that promotions are decided on, and why it is this one.

    A test set that decides is selected on, and its score is then no estimate any more. `auto`
    therefore takes a development set where there is one, else the validation split.

    Args:
        dataset: folder with the splits.
        wanted: the name of a split, or `auto`.

    Raises:
        HmerError: no such split, or none that `auto` can choose.
    """
    held = [name for name in held_out(dataset) if (dataset / f"{name}.parquet").is_file()]
    there = ", ".join(held) or "none"
    if wanted != "auto":
        if wanted not in held:
            raise HmerError(f"register.split = {wanted!r}: no such split; there are: {there}")
        return wanted, "register.split names it"
    for kind, reason in AUTO.items():
        found = [name for name in held if name.startswith(kind)]
        if len(found) > 1:
            raise HmerError(
                f"register.split = 'auto' finds several: {', '.join(found)}; name one of them"
            )
        if found:
            return found[0], reason
    raise HmerError("register.split = 'auto' finds no split to compare on; run `dvc repro ingest`")
