"""What a model version says about itself in MLflow's user interface: tags, and a page of Markdown.

From here a reviewer reaches the metrics, the data, the three trainings, the code, the parameters
and the command that makes the same weights again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.declaration import declarations
from pipeline.registry.candidate import FILES, FOLDER, STAGE, Candidate
from pipeline.tracking.lineage import producers, run_link
from pipeline.tracking.provenance import ancestors, origin, raw_data

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

RUN = "run."
"""Prefix of the tags that name the run of a stage."""
SHOWN = {
    "exprate": "ExpRate, %",
    "exprate_low": "lower end of its 95 % interval",
    "exprate_high": "upper end",
    "le1": "at most 1 edit, %",
    "structure_rate": "structure right, %",
    "cer": "character error rate, %",
    "ece": "calibration error",
    "n": "expressions",
}


def version_tags(candidate: Candidate, tracker: Tracker, root: Path) -> dict[str, str]:
    """Where a version comes from: everything that `python -m pipeline reproduce` needs."""
    declared = declarations(root)
    name = tracker.name
    runs = producers(tracker.client, tracker.experiment, root, ancestors(declared, name))
    # The parameters of the version are those its weights were made with: the run has a copy.
    tags = {f"{RUN}{stage}": run.info.run_id for stage, run in runs.items()}
    tags |= {f"{RUN}{name}": tracker.run_id, "sha256": candidate.sha256}
    tags |= {"weights.path": f"{FOLDER}/{FILES[0]}", "weights.stage": STAGE}
    tags |= origin(root)
    if found := raw_data(root):
        tags |= {"raw.path": found[0], "raw.digest": found[1]}
    return {key: value[:4000] for key, value in tags.items()}


def described(
    candidate: Candidate, name: str, version: int, tags: Mapping[str, str], experiment: str
) -> str:
    """Markdown for the page of the version."""
    dirty = tags.get("git.dirty") == "true"
    code = f"`{tags['git.commit']}`" if "git.commit" in tags else "not in git"
    if dirty:
        code += f", with changes that are not committed: {tags.get('git.changed', '')}"
    lines = [
        f"**{name} version {version}**, compared on `{candidate.split}` ({candidate.reason}).",
        "",
        "| metric | value |",
        "|---|---|",
        *(
            f"| {label} | {candidate.metrics[key]:g} |"
            for key, label in SHOWN.items()
            if key in candidate.metrics
        ),
        "",
        "| made by | run |",
        "|---|---|",
        *(
            f"| {key.removeprefix(RUN)} | {run_link(value, experiment)} |"
            for key, value in tags.items()
            if key.startswith(RUN)
        ),
        "",
        f"- Code: {code}",
        f"- Parameters: `params.yaml` among the artifacts of each run, sha256 "
        f"`{tags.get('params', '')[:12]}`",
        f"- Data: `{tags.get('raw.path', '')}`, sha256 `{tags.get('raw.digest', '')[:12]}`; "
        f"test set sha256 `{candidate.score.data[:12]}`",
        f"- Environment: `requirements.lock` sha256 `{tags.get('environment.lock', '')[:12]}`, "
        f"Python {tags.get('python', '')}",
        f"- Weights: sha256 `{candidate.sha256}`",
        "",
        "The same weights again, to the byte:",
        "",
        f"    python -m pipeline reproduce {version}",
    ]
    return "\n".join(lines)
