"""MLflow tracking: runs and what goes into them (the registry is `registry.py`).

Runs are opened before any work is done, so that a server that does not answer is known at once.
Once work has begun tracking is a witness, not a judge: if the server goes away, a warning is
printed and the stage goes on, for its outputs are what counts. No run id ever enters an output:
equal inputs must give equal bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.declaration import PARAMS
from pipeline.resume import RESUME
from pipeline.sections import leaves, read_yaml
from pipeline.tracking.datasets import datasets
from pipeline.tracking.lineage import OUTPUT, PARENT_TAG, input_tags, links, output_digest, stories
from pipeline.tracking.provenance import Cost, device, origin
from pipeline.tracking.store import EXPERIMENT, TrackingError, answered, connect

if TYPE_CHECKING:
    import pandas as pd
    from lightning.pytorch.loggers import Logger
    from mlflow import MlflowClient

    from pipeline.declaration import Declaration
    from pipeline.interruption import Interruption

__all__ = ["EXPERIMENT", "PARENT", "Tracker", "TrackingError", "connect", "parent_run", "stage_run"]

PARENT = "HMER_PARENT_RUN"
"""Environment variable with the id of the run that the stage runs belong to."""
KEPT = {".csv", ".html", ".json", ".png", ".svg"}
"""Outputs copied to the tracking server; data and weights are DVC's."""
LARGEST = 4 * 2**20
PARAM_LENGTH = 6000
TAG_LENGTH = 4000


@dataclass
class Tracker:
    """One MLflow run."""

    client: MlflowClient
    run_id: str
    name: str
    experiment: str = ""
    told: set[str] = field(default_factory=set)
    """Failures of the server that have been told: once is enough."""

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Log all numbers of a possibly nested mapping, under dotted names."""
        numbers = {
            key: float(value)
            for key, value in leaves(values)
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        self.curve_points([(step, name, value) for name, value in numbers.items()])

    def curve_points(self, points: list[tuple[int, str, float]]) -> None:
        """Log (step, name, value) points in as few requests as possible."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entities = [Metric(clean(name), value, now, step) for step, name, value in points]
        for start in range(0, len(entities), 1000):
            part = entities[start : start + 1000]
            self._witness(self.client.log_batch, self.run_id, part)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        entities = [Param(clean(k), str(v)[:PARAM_LENGTH]) for k, v in values.items()]
        for start in range(0, len(entities), 100):
            part = entities[start : start + 100]
            self._witness(self.client.log_batch, self.run_id, (), part)

    def outputs(self, out: Path) -> None:
        """Log what a stage has written: numbers of `metrics.json`, tables, pages and pictures."""
        metrics = out / "metrics.json"
        if metrics.is_file():
            self.metrics(json.loads(metrics.read_text(encoding="utf-8")))
        files = [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
        for file in files:
            if file.suffix in KEPT and file.stat().st_size <= LARGEST:
                folder = file.parent.relative_to(out if out.is_dir() else out.parent).as_posix()
                self.artifact(file, None if folder == "." else folder)

    def artifact(self, file: Path, folder: str | None = None) -> None:
        """Log one file."""
        self._witness(self.client.log_artifact, self.run_id, str(file), folder)

    def table(self, frame: pd.DataFrame, file: str) -> None:
        """Log a table that the user interface shows and compares between runs."""
        self._witness(self.client.log_table, self.run_id, frame, file)

    def data(self, paths: list[str], root: Path, context: str) -> None:
        """Log the Parquet files among `paths` (or in folders of them) as datasets of the run."""
        found = datasets(paths, root, context)
        if found:
            self._witness(self.client.log_inputs, self.run_id, found)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, value[:TAG_LENGTH]) for key, value in values.items()]
        self._witness(self.client.log_batch, self.run_id, (), (), tags)

    def end(self, status: str) -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._witness(self.client.set_terminated, self.run_id, status)

    @cached_property
    def logger(self) -> Logger:
        """For Lightning: curves are batched and cost a step next to nothing."""
        from pipeline.tracking.curves import CurveLogger

        return CurveLogger(self.name, self.run_id, self.curve_points)

    def _witness(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception as error:  # any failure of the server; the work must go on
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            if first not in self.told:
                self.told.add(first)
                sys.stderr.write(f"warning: {self.name}: not tracked: {first}\n")


class Tracked(Protocol):
    """What a run has to know of the stage it is of (`pipeline.stage.Stage`)."""

    name: str
    root: Path
    declared: Declaration
    interruption: Interruption

    @property
    def fingerprint(self) -> str:
        """Of parameters, data and code."""
        ...


@contextmanager
def stage_run(stage: Tracked, params: Mapping[str, Any]) -> Iterator[Tracker]:
    """A run for the block, with its parameters, origin, data, cost and outcome.

    A run that a killed process left open is continued if this is the same work (same
    fingerprint), and otherwise closed as KILLED.

    Raises:
        TrackingError: the server does not answer; the block is not entered.
    """
    record = stage.root / RESUME / stage.name / "run.json"
    cost = Cost()
    tracker = _open(stage, params, record)
    status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
        digest = output_digest(stage.declared, stage.root)
        if digest is not None:
            tracker.tags({OUTPUT: digest})
        tracker.data(list(stage.declared.outs), stage.root, "output")
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or stage.interruption.signal is not None
        status = "KILLED" if stopped else "FAILED"
        raise
    finally:
        if "logger" in tracker.__dict__:
            tracker.logger.save()
        tracker.tags({"device": device()})
        tracker.metrics(cost.so_far())
        tracker.end(status)
        record.unlink(missing_ok=True)


@contextmanager
def parent_run(root: Path, tags: Mapping[str, str]) -> Iterator[str]:
    """A run that the stages started inside the block belong to; its id goes into `PARENT`.

    When the block has ended, however it has, every stage is linked: to the child that ran, or to
    the earlier run whose output DVC found good.

    Raises:
        TrackingError: the server does not answer; the block is not entered.
    """
    record = root / RESUME / "run.json"
    client, experiment = connect(root)
    _close_left_open(client, record)
    run_id = _create(client, experiment, "pipeline", {**origin(root), **tags})
    tracker = Tracker(client, run_id, "pipeline", experiment)
    _remember(record, tracker.run_id, "")
    os.environ[PARENT] = tracker.run_id
    cost = Cost()
    status = "FINISHED"
    try:
        yield tracker.run_id
    except Exception:
        status = "FAILED"
        raise
    except BaseException:  # Ctrl-C, and what Prefect makes of SIGTERM
        status = "KILLED"
        raise
    finally:
        del os.environ[PARENT]
        _tell(tracker, root, cost)
        tracker.end(status)
        record.unlink(missing_ok=True)


def clean(name: str) -> str:
    """A metric name that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)


def _tell(tracker: Tracker, root: Path, cost: Cost) -> None:
    """What a parent run knows when its stages have ended."""
    try:
        if (root / PARAMS).is_file():
            tracker.params(dict(leaves(read_yaml(root / PARAMS))))
            tracker.artifact(root / PARAMS)
        if (root / "dvc.lock").is_file():
            tracker.artifact(root / "dvc.lock")
        told = stories(tracker.client, tracker.experiment, root, tracker.run_id)
        tracker.tags({**links(told, tracker.experiment), **origin(root), "device": device()})
        tracker.metrics({"cost.seconds": cost.so_far()["cost.seconds"]})
    except Exception as error:  # a witness, as ever: what happened must not be hidden by this
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"warning: {tracker.name}: not tracked: {first}\n")


def _open(stage: Tracked, params: Mapping[str, Any], record: Path) -> Tracker:
    client, experiment = connect(stage.root)
    with answered():
        run_id = _left_open(client, record, stage.fingerprint)
        if run_id is not None:
            return Tracker(client, run_id, stage.name, experiment)
        tags = {"stage": stage.name, "fingerprint": stage.fingerprint, **origin(stage.root)}
        tags |= input_tags(client, experiment, stage.declared, stage.root)
        if parent := os.environ.get(PARENT):
            tags[PARENT_TAG] = parent
        run_id = _create(client, experiment, stage.name, tags)
    _remember(record, run_id, stage.fingerprint)
    tracker = Tracker(client, run_id, stage.name, experiment)
    tracker.params(params)
    tracker.data(list(stage.declared.deps), stage.root, "input")
    if (stage.root / PARAMS).is_file():
        tracker.artifact(stage.root / PARAMS)
    return tracker


def _create(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    short = {key: value[:TAG_LENGTH] for key, value in tags.items()}
    with answered():
        return str(client.create_run(experiment, tags=short, run_name=name).info.run_id)


def _remember(record: Path, run_id: str, fingerprint: str) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "uri": os.environ["MLFLOW_TRACKING_URI"],
        "run": run_id,
        "fingerprint": fingerprint,
    }
    record.write_text(json.dumps(values), encoding="utf-8")


def _left_open(client: MlflowClient, record: Path, fingerprint: str) -> str | None:
    """The run that a killed process left open, if it did the same work as we shall."""
    left = _read(record)
    if left.get("fingerprint") == fingerprint and _is_running(client, left):
        return str(left["run"])
    _close_left_open(client, record)
    return None


def _close_left_open(client: MlflowClient, record: Path) -> None:
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
