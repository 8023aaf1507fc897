"""The run that is open, written down: what a killed process leaves open is found by the next."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient


def remember(record: Path, run_id: str, fingerprint: str) -> None:
    """Write down that a run is open, and what work it is for."""
    record.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "uri": os.environ["MLFLOW_TRACKING_URI"],
        "run": run_id,
        "fingerprint": fingerprint,
    }
    record.write_text(json.dumps(values), encoding="utf-8")


def left_open(client: MlflowClient, record: Path, fingerprint: str) -> str | None:
    """The run that a killed process left open, if it did the same work as we shall."""
    left = _read(record)
    if left.get("fingerprint") == fingerprint and _is_running(client, left):
        return str(left["run"])
    close_left_open(client, record)
    return None


def close_left_open(client: MlflowClient, record: Path) -> None:
    """Close the run that a killed process left open, whatever it was for."""
    left = _read(record)
    if _is_running(client, left):
        client.set_terminated(str(left["run"]), "KILLED")
    record.unlink(missing_ok=True)


def _is_running(client: MlflowClient, left: Mapping[str, Any]) -> bool:
    from mlflow.exceptions import MlflowException

    if left.get("uri") != os.environ["MLFLOW_TRACKING_URI"]:
        return False
    try:
        return bool(client.get_run(str(left["run"])).info.status == "RUNNING")
    except MlflowException:
        return False


def _read(record: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
