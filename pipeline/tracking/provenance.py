"""Where results come from and what they cost: code, data, device, time, and the runs behind them.

A stage that DVC skips makes no run. But every run that ended well is tagged with the digest of the
outputs it left, so the run behind an output, restored from a cache or never touched, is found by
what the output is. No run id is ever written into a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from hmer.files import content_digest
from pipeline.dvcfile import PARAMS, Declaration, declarations, given, upstream
from pipeline.params import read_yaml

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


CODE = ("hmer", "pipeline", "dvc.yaml", "requirements.lock")
"""What is compared with git, besides the declared dependencies."""
LOCK = "requirements.lock"
LISTED = 10
RAW = "raw"
"""The key of `params.yaml` that names the folder with the raw data."""


def origin(root: Path) -> dict[str, str]:
    """What a run was made from: code, parameters, environment.

    `git.dirty` is about code: parameters are kept with the run, and outputs that git tracks
    change by the very run.
    """
    found = {"python": platform.python_version()}
    commit = git(root, "rev-parse", "HEAD")
    if commit:
        changed = changed_code(root)
        found["git.commit"] = commit
        found["git.dirty"] = str(bool(changed)).lower()
        if changed:
            more = ", ..." if len(changed) > LISTED else ""
            found["git.changed"] = ", ".join(changed[:LISTED]) + more
    for key, name in (("dvc.lock", "dvc.lock"), ("environment.lock", LOCK), ("params", PARAMS)):
        if (root / name).is_file():
            found[key] = content_digest(root / name)
    return found


def changed_code(root: Path) -> list[str]:
    """Tracked or new files of the code, or of dependencies in git, that differ from the commit."""
    try:
        deps = given(root)
    except HmerError:
        deps = set()
    paths = sorted(path for path in {*CODE, *deps} if (root / path).exists() and path != PARAMS)
    inside = [path for path in paths if (root / path).resolve().is_relative_to(root.resolve())]
    told = git(root, "status", "--porcelain", "--untracked-files=all", "--", *inside, strip=False)
    return [line[3:] for line in told.splitlines() if line]


def raw_data(root: Path) -> tuple[str, str] | None:
    """Path and digest of the raw data; None where the parameters name none, or it is not there."""
    try:
        name = read_yaml(root / PARAMS).get(RAW)
    except HmerError:
        return None
    if not isinstance(name, str) or not (root / name).exists():
        return None
    return name, content_digest(root / name)


def device() -> str:
    """The device that this process computes on; torch is asked only where it is loaded anyway."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return f"{cores()} cores of {_processor()}"


def cores() -> int:
    """Processor cores that this process may use."""
    # Not on macOS, where a process cannot be bound to some of them.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


class Cost:
    """Time from its making on; of memory, MLflow keeps the course."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu = sum(os.times()[:4])  # our own and that of children, user and system

    def so_far(self) -> dict[str, float]:
        """Seconds on the clock, and of the processor (with children)."""
        return {
            "cost.seconds": time.perf_counter() - self._began,
            "cost.cpu_seconds": sum(os.times()[:4]) - self._cpu,
        }


def git(root: Path, *arguments: str, strip: bool = True) -> str:
    """What git says; nothing where there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip() if strip else done.stdout


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    text = listing.read_text(encoding="utf-8") if listing.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


PROVENANCE = "provenance.json"
"""Artifact of every run: what it was made from. Tags are what one searches or lists runs by."""
OUTPUT = "output"
"""Tag with the digest of all outputs of a stage, as its run left them."""
PARENT_TAG = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
"""Tag that the user interface shows as the description of a run, in Markdown."""

UNFINISHED = {"FAILED": "failed", "KILLED": "killed", "RUNNING": "running"}
"""What MLflow calls a run that did not end well."""


def output_digest(declared: Declaration, root: Path) -> str | None:
    """SHA-256 over the stage's outputs; None where one is missing."""
    digest = hashlib.sha256()
    for out in sorted(declared.outs):
        if not (root / out).exists():
            return None
        digest.update(json.dumps([out, content_digest(root / out)]).encode())
    return digest.hexdigest()


def producer(
    client: MlflowClient, experiment: str, declared: Declaration, root: Path
) -> Run | None:
    """The newest run that made the stage's present outputs."""
    digest = output_digest(declared, root)
    if digest is None:
        return None
    return _newest(
        client,
        experiment,
        f"tags.stage = '{declared.name}' and tags.{OUTPUT} = '{digest}' "
        "and attributes.status = 'FINISHED'",
    )


def _newest(client: MlflowClient, experiment: str, query: str) -> Run | None:
    order = ["attributes.start_time DESC"]
    found = client.search_runs([experiment], query, max_results=1, order_by=order)
    return found[0] if found else None


def producers(
    client: MlflowClient, experiment: str, root: Path, names: set[str] | None = None
) -> dict[str, Run]:
    """The runs behind the present outputs of all stages, or of those named."""
    declared = declarations(root)
    wanted = declared if names is None else {n: d for n, d in declared.items() if n in names}
    found = {n: producer(client, experiment, d, root) for n, d in wanted.items()}
    return {name: run for name, run in found.items() if run is not None}


def input_runs(
    client: MlflowClient, experiment: str, declared: Declaration, root: Path
) -> dict[str, str]:
    """The runs that made what this stage is going to read, by stage."""
    try:
        needs = upstream(declarations(root)).get(declared.name, set())
    except HmerError:
        return {}
    runs = producers(client, experiment, root, needs) if needs else {}
    return {name: run.info.run_id for name, run in runs.items()}


def stage_states(
    client: MlflowClient, experiment: str, root: Path, execution: str
) -> dict[str, dict[str, Any]]:
    """Each stage as it stands, in the order of `dvc.yaml`: `name`, `state`, `run_id`, `seconds`.

    The state says how a run under the parent run `execution` ended, if not well; else whether
    such a run (`ran`) or an earlier one (`cached`) made the outputs that are there. Without one
    they are `unknown`, or `missing`.
    """
    found = {}
    for name, declared in declarations(root).items():
        ours = f"tags.stage = '{name}' and tags.`{PARENT_TAG}` = '{execution}'"
        run = _newest(client, experiment, ours)
        state = UNFINISHED.get(run.info.status) if run is not None else None
        if state is None and (run := producer(client, experiment, declared, root)):
            state = "ran" if run.data.tags.get(PARENT_TAG) == execution else "cached"
        found[name] = {
            "name": name,
            "state": state or ("missing" if output_digest(declared, root) is None else "unknown"),
            "run_id": run and run.info.run_id,
            "seconds": run and run.data.metrics.get("cost.seconds"),
        }
    return found


def stage_table(states: Mapping[str, Mapping[str, Any]], experiment: str) -> str:
    """Markdown for a parent run: every stage's state, and the run behind its outputs."""
    rows = ["| stage | what happened | run | seconds |", "|---|---|---|---|"]
    for name, found in states.items():
        seconds = "" if found["seconds"] is None else f"{found['seconds']:.0f}"
        link = run_link(found["run_id"], experiment) if found["run_id"] else ""
        rows.append(f"| {name} | {found['state']} | {link} | {seconds} |")
    return "\n".join(rows)


def run_link(run_id: str, experiment: str, artifact: str = "") -> str:
    """Markdown link to a run in MLflow's user interface, or to an artifact of it."""
    place = f"#/experiments/{experiment}/runs/{run_id}"
    return f"[{artifact}]({place}/artifacts/{artifact})" if artifact else f"[{run_id[:8]}]({place})"


def scored(done: Mapping[str, Any]) -> str:
    """ExpRate of a registration (`reports/registration.json`), with its interval where known."""
    interval = " ({:.1f} to {:.1f})".format(*done["interval"]) if done.get("interval") else ""
    return f"ExpRate {done['exprate']:.1f} %{interval}"


def headline(done: Mapping[str, Any]) -> str:
    """A registration in one paragraph, the decision first: a list of versions shows little more."""
    reason = str(done["reason"])
    return (
        f"{done['decision']}, {scored(done)}: {done['model']} version {done['version']} on "
        f"`{done['split']}`. {reason[:1].upper()}{reason[1:]}."
    )
