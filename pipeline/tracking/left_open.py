"""The run that is open, written down: what was killed is found by the next start."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def remember(record: Path, run_id: str, fingerprint: str) -> None:
    """Write down that a run is open, and what work it is for."""
    record.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "uri": os.environ["MLFLOW_TRACKING_URI"],
        "run": run_id,
        "fingerprint": fingerprint,
    }
    record.write_text(json.dumps(values), encoding="utf-8")


def left_open(client: MlflowClient, record: Path, fingerprint: str) -> Run | None:
    """The run that was killed, if it did the same work as we shall; any other is closed."""
    left = _read(record)
    run = _run(client, left)
    if run is not None and left.get("fingerprint") == fingerprint:
        return run
    close_left_open(client, record)
    return None


def close_left_open(client: MlflowClient, record: Path) -> None:
    """Close the run that a killed process left open, whatever it was for."""
    run = _run(client, _read(record))
    if run is not None and run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")
    record.unlink(missing_ok=True)


def _run(client: MlflowClient, left: Mapping[str, Any]) -> Run | None:
    """The run on record, if it is there and did not end by itself."""
    from mlflow.exceptions import MlflowException

    if left.get("uri") != os.environ["MLFLOW_TRACKING_URI"]:
        return None
    try:
        run = client.get_run(str(left["run"]))
    except MlflowException:
        return None
    alive = run.info.lifecycle_stage == "active"
    return run if alive and run.info.status in ("RUNNING", "KILLED") else None


def _read(record: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
