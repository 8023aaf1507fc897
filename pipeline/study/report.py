"""The study as a file for programs and a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hmer.files import atomic_file
from pipeline.sections import leaves
from pipeline.study.config import Metric, StudyConfig
from pipeline.study.results import Outcome, Summary, absent, budgets, rounded, seconds, summarise

MINUS = "\N{MINUS SIGN}"


def write_report(root: Path, name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> Path:
    """Write `<stem>.json`, `.md` and `.png` below `reports/`; the same results, the same bytes.

    Returns:
        The JSON file.
    """
    from pipeline.study.figure import study_figure

    stem = root / "reports" / study.report.folder / study.report.stem
    content = report(name, study, outcomes)
    for ending, data in (
        (".json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()),
        (".md", page(study, content, outcomes).encode()),
        (".png", study_figure(study, outcomes)),
    ):
        with atomic_file(stem.with_suffix(ending)) as partial:
            partial.write_bytes(data)
    return stem.with_suffix(".json")


def report(name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "study": name,
        "title": study.title,
        "conditions": conditions(study, outcomes),
        "reference": study.reference,
        "metrics": [metric.model_dump() for metric in study.metrics],
        "variants": [_variant(study, outcomes, variant) for variant in study.variants],
        "curves": [
            {"title": curve.title, "lines": _lines(study, outcomes, index)}
            for index, curve in enumerate(study.curves)
        ],
        "experiments": [_experiment(outcome) for outcome in outcomes],
        "absent": absent(study, outcomes),
    }


def conditions(study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Under what the numbers were made; lists where experiments differ in it."""
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    reference = next(o.experiment for o in outcomes if o.experiment.variant == study.reference)
    return {
        "configuration": study.configuration,
        "settings": dict(leaves(study.settings)),
        "target": study.target,
        "split": study.split,
        "seeds": sorted({outcome.experiment.seed for outcome in outcomes}),
        "budgets": budgets(reference.params),
        "machine": _common([record.machine for record in records]),
        "dataset": _common([record.dataset for record in records]),
        "commit": _common([record.commit for record in records]),
        "changed_code": _common([list(record.changed) for record in records]),
        "code": _common([record.code for record in records]),
    }


def page(study: StudyConfig, content: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """Markdown: what was asked, the table, and what to know about it."""
    parts = [
        f"# {study.title}",
        _told(content["conditions"], study),
        table(study, outcomes),
        f"![{study.title}]({study.report.stem}.png)",
        *_notes(study, content, outcomes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(study: StudyConfig, outcomes: Sequence[Outcome]) -> str:
    """One row per variant: mean ± spread over seeds, in brackets the gain over the reference."""
    headings = [f"{m.heading}{f', {m.unit}' if m.unit else ''}" for m in study.metrics]
    rows = [["variant", *headings], ["---", *["---:"] * len(headings)]]
    for name, variant in study.variants.items():
        cells = [
            cell(metric, summarise(study, outcomes, name, metric.name)) for metric in study.metrics
        ]
        told = [f"against {variant.against}"] if variant.against else []
        told += _states(name, outcomes)
        label = f"**{name}**: {variant.describe}"
        rows.append([f"{label} ({'; '.join(told)})" if told else label, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(metric: Metric, summary: Summary) -> str:
    """`mean ± spread (difference)`."""
    if summary.mean is None:
        return "–"
    text = _number(summary.mean, metric.digits)
    if summary.spread is not None:
        text += f" ± {summary.spread:.{metric.digits}f}"
    if summary.difference is not None:
        text += f" ({_number(summary.difference, metric.digits, sign=True)})"
    return text


def _variant(study: StudyConfig, outcomes: Sequence[Outcome], name: str) -> dict[str, Any]:
    return {
        "name": name,
        "describe": study.variants[name].describe,
        "settings": dict(leaves(study.variants[name].settings)),
        "compared_with": study.rival(name),
        "metrics": {
            metric.name: summarise(study, outcomes, name, metric.name).report()
            for metric in study.metrics
        },
        "seconds": seconds(outcomes, name),
    }


def _lines(study: StudyConfig, outcomes: Sequence[Outcome], index: int) -> dict[str, Any]:
    from pipeline.study.curves import points

    return {
        line: [{"x": rounded(x), "values": [rounded(y) for y in ys]} for x, ys in found]
        for line, found in points(study.curves[index], outcomes).items()
    }


def _experiment(outcome: Outcome) -> dict[str, Any]:
    one = outcome.experiment
    told: dict[str, Any] = {"name": one.name, "variant": one.variant, "seed": one.seed}
    told["state"] = outcome.state
    if outcome.commit:
        told["commit"] = outcome.commit
    if outcome.reason:
        told["reason"] = outcome.reason
    if outcome.record is not None:
        told["seconds"] = dict(outcome.record.seconds)
    return told


def _common(values: Sequence[Any]) -> Any:
    """The one value they all have, or a list of those that occur."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct[0] if len(distinct) == 1 else distinct


def _states(variant: str, outcomes: Sequence[Outcome]) -> list[str]:
    mine = [outcome for outcome in outcomes if outcome.experiment.variant == variant]
    told = []
    for state in ("failed", "not run"):
        count = sum(outcome.state == state for outcome in mine)
        if count:
            told.append(state if count == len(mine) else f"{count} of {len(mine)} {state}")
    return told


def _told(found: Mapping[str, Any], study: StudyConfig) -> str:
    """The conditions in a paragraph."""
    seeds = found["seeds"]
    told = [
        f"Configuration `{study.configuration}`",
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}",
    ]
    if study.split:
        told.append(f"metrics of `{study.split}`")
    dataset, machine = found["dataset"], found["machine"]
    if isinstance(dataset, dict):
        counted = dataset["expressions"]
        shown = [split for split in ("train", study.split) if split in counted]
        told.append(f"{', '.join(f'{counted[s]} {s}' for s in shown)} expressions")
    if isinstance(machine, dict):
        told.append(
            f"{machine['device']}, {machine['jobs']} at a time with {machine['threads']} thread(s)"
        )
    if isinstance(found["commit"], str):
        changed = " with uncommitted changes" if found["changed_code"] else ""
        told.append(f"commit {found['commit'][:8]}{changed}")
    named = any(variant.against for variant in study.variants.values())
    spread = " ± standard deviation over the seeds" if len(seeds) > 1 else ""
    return (
        "; ".join(told) + f". Mean{spread}; in brackets the mean difference to "
        f"`{study.reference}`{', or what is named,' if named else ''} with the same seed."
    )


def _notes(
    study: StudyConfig, content: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> list[str]:
    notes = [
        f"- {outcome.experiment.name} failed: {outcome.reason}"
        for outcome in outcomes
        if outcome.state == "failed"
    ]
    notes += [
        f"- `{metric}` is not among the metrics of {len(names)} experiments"
        for metric, names in content["absent"].items()
    ]
    if isinstance(content["conditions"]["code"], list) and content["conditions"]["code"]:
        notes.append("- The experiments were made with different versions of the code.")
    return ["\n".join(notes)] if notes else []


def _number(value: float, digits: int, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.replace("-", MINUS)
