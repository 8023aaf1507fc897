"""What the front page tells, read from the reports of the stages and the tracking store.

Everything is optional: after a failed first stage there is little, and the page says that little.
"""

from __future__ import annotations

import base64
import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.declaration import declarations
from pipeline.overview.charts import Series
from pipeline.overview.published import Published, published_beside
from pipeline.tracking.lineage import StageStory, newest_execution, output_digest, stories
from pipeline.tracking.provenance import upstream

EVALUATION = "reports/evaluation"
SHOWN = ("exprate", "novelty.exprate_new", "le1", "le2", "cer", "structure_rate", "ece", "n")
LARGEST = 3 * 2**20
"""A picture larger than this stays outside the page."""
CURVES = (
    ("pretrain", "Pretraining: contrastive losses", ("loss_global", "loss_local")),
    ("attend", "Attention network: matching losses", ("loss_global", "loss_local")),
    ("finetune", "Fine-tuning: losses", ("loss", "val_loss")),
    (
        "finetune",
        "Fine-tuning: percent right under teacher forcing",
        ("token_accuracy", "val_exprate_forced"),
    ),
)
SHARES = ("token_accuracy",)
"""Curves from 0 to 1 that stand beside others in percent."""


@dataclass
class Facts:
    """All of it; an empty or missing part is left out of the page."""

    stages: list[StageStory]
    execution: dict[str, str] = field(default_factory=dict)
    finished: str = ""
    gate: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, dict[str, Any]] = field(default_factory=dict)
    split: str = ""
    registration: dict[str, Any] = field(default_factory=dict)
    champion: dict[str, float] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    curves: list[tuple[str, list[Series]]] = field(default_factory=list)
    occlusion: list[Series] = field(default_factory=list)
    reliability: list[Series] = field(default_factory=list)
    risk: list[Series] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    untracked: str = ""


def gather(root: Path) -> Facts:
    """Read what is there."""
    facts = Facts(stages=_untold(root))
    facts.gate = _json(root / "reports/validation/verdict.json")
    facts.dataset = _json(root / "data/dataset/summary.json")
    facts.registration = _json(root / "reports/registration.json")
    if "comparison" not in facts.registration:  # written before there was a paired comparison
        facts.registration = {}
    evaluation = _json(root / EVALUATION / "metrics.json")
    facts.evaluation = {k: v for k, v in evaluation.items() if isinstance(v, dict)}
    facts.split = _reported(facts)
    facts.curves = [
        (title, lines)
        for stage, title, names in CURVES
        if (lines := _curves(root / "data/models" / stage / "curves.csv", names))
    ]
    if facts.split:
        _evaluated(facts, root / EVALUATION / facts.split)
        facts.published = published_beside(str(facts.dataset.get("source", "")), facts.split)
    _tracked(facts, root)
    return facts


def _untold(root: Path) -> list[StageStory]:
    """The stages without a tracking store: whether their outputs are there."""
    declared = declarations(root)
    needs = upstream(declared)
    return [
        StageStory(n, frozenset(needs[n]), "unknown" if output_digest(d, root) else "missing")
        for n, d in declared.items()
    ]


def _tracked(facts: Facts, root: Path) -> None:
    """What only the tracking store knows: states, times, and the champion's other numbers."""
    from pipeline.tracking.store import connect

    try:
        client, experiment = connect(root)
        execution = newest_execution(client, experiment)
        found = execution.info.run_id if execution else None
        facts.stages = stories(client, experiment, root, found)
        if execution is not None:
            facts.execution = dict(execution.data.tags)
            facts.execution["seconds"] = str(execution.data.metrics.get("cost.seconds", ""))
        ended = [story.ended for story in facts.stages if story.ended]
        if ended:
            moment = datetime.fromtimestamp(max(ended) / 1000, UTC)
            facts.finished = moment.strftime("%Y-%m-%d %H:%M UTC")
        before = facts.registration.get("champion_before")
        if before and before["same_data"]:
            version = client.get_model_version(facts.registration["model"], str(before["version"]))
            metrics = client.get_run(str(version.run_id)).data.metrics
            decided = facts.registration["split"]
            facts.champion = {
                key: metrics[f"{decided}.{key}"] for key in SHOWN if f"{decided}.{key}" in metrics
            }
    except Exception as error:  # whatever the store does, the files still have a page
        facts.untracked = str(error).splitlines()[0] if str(error) else type(error).__name__


def _reported(facts: Facts) -> str:
    """The split that the page is about: the first test set, else the one that decided."""
    tests = sorted(name for name in facts.evaluation if name.startswith("test"))
    decided = str(facts.registration.get("split", ""))
    return decided if decided in tests or not tests else tests[0]


def _evaluated(facts: Facts, report: Path) -> None:
    rows = _rows(report / "occlusion.csv")
    for key, name in (("exprate", "this version"), ("le1", "this version, at most 1 edit")):
        points = [(100 * row["hidden"], row[key]) for row in rows if key in row]
        facts.occlusion.append(Series(name, points, dashed=key == "le1"))
    before = facts.registration.get("champion_before") or {}
    if before.get("occluded") and facts.registration.get("split") == facts.split:
        levels = {row["level"]: row["hidden"] for row in rows if "hidden" in row}
        points = [(100 * levels.get(x, x), y) for x, y in before["occluded"]]
        facts.occlusion.append(Series(f"champion, version {before['version']}", points))
    bins = [row for row in _rows(report / "calibration.csv") if row.get("n")]
    points = [(100 * row["confidence"], 100 * row["accuracy"]) for row in bins]
    facts.reliability = [Series("expressions by confidence", points)]
    risk = [
        (100 * row["coverage"], 100 * row["risk"]) for row in _rows(report / "risk_coverage.csv")
    ]
    facts.risk = [Series("wrong among what is kept", risk)]
    for name in ("samples_bad", "samples_good", "attention_01", "attention_02", "attention_03",
                 "attention_spatial"):  # fmt: skip
        if picture := _embedded(report / f"{name}.png"):
            facts.pictures[name] = picture


def _curves(path: Path, names: tuple[str, ...]) -> list[Series]:
    rows = _rows(path)
    lines = [
        Series(
            name.replace("_", " "),
            [(r["step"], r[name] * (100 if name in SHARES else 1)) for r in rows if name in r],
        )
        for name in names
    ]
    return [line for line in lines if line.points]


def _rows(path: Path) -> list[dict[str, float]]:
    """The numbers of a CSV file, row by row; cells that are no numbers are left out."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {key: number for key, text in row.items() if (number := _number(text)) is not None}
        for row in rows
    ]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def _embedded(path: Path) -> str:
    """A picture as a data URI, so that the page can be sent as one file."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
