"""MLflow tracking: the only file that talks to it (the registry is `registry.py`).

Runs are opened before any work is done, so that a server that does not answer is known at once.
Once work has begun tracking is a witness, not a judge: if the server goes away, a warning is
printed and the stage goes on, for its outputs are what counts. No run id ever enters an output:
equal inputs must give equal bytes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from pipeline.resume import RESUME, content_digest
from pipeline.sections import leaves

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger
    from mlflow import MlflowClient

    from pipeline.stage import Stage

EXPERIMENT = "hmer"
PARENT = "HMER_PARENT_RUN"
"""Environment variable with the id of the run that the stage runs belong to."""
KEPT = {".csv", ".html", ".json", ".png", ".svg"}
"""Outputs copied to the tracking server; data and weights are DVC's."""
LARGEST = 4 * 2**20
PARAM_LENGTH = 6000


class TrackingError(HmerError):
    """The tracking server does not answer, or refuses."""

    exit_code = 75


@dataclass
class Tracker:
    """One MLflow run."""

    client: MlflowClient
    run_id: str
    name: str

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

    def outputs(self, out: Path) -> None:
        """Log what a stage has written: numbers of `metrics.json`, tables, pages and pictures."""
        metrics = out / "metrics.json"
        if metrics.is_file():
            self.metrics(json.loads(metrics.read_text(encoding="utf-8")))
        files = [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
        for file in files:
            if file.suffix in KEPT and file.stat().st_size <= LARGEST:
                folder = file.parent.relative_to(out if out.is_dir() else out.parent).as_posix()
                self._witness(
                    self.client.log_artifact,
                    self.run_id,
                    str(file),
                    None if folder == "." else folder,
                )

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in values.items()]
        self._witness(self.client.log_batch, self.run_id, (), (), tags)

    def end(self, status: str) -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._witness(self.client.set_terminated, self.run_id, status)

    @cached_property
    def logger(self) -> Logger:
        """For Lightning: curves are batched and cost a step next to nothing."""
        from pipeline.curves import CurveLogger

        return CurveLogger(self)

    def _witness(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception as error:  # any failure of the server; the work must go on
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            sys.stderr.write(f"warning: {self.name}: not tracked: {first}\n")


@contextmanager
def stage_run(stage: Stage, params: Mapping[str, Any]) -> Iterator[Tracker]:
    """A run for the block, with its parameters, origin and outcome.

    A run that a killed process left open is continued if this is the same work (same
    fingerprint), and otherwise closed as KILLED.

    Raises:
        TrackingError: the server does not answer; the block is not entered.
    """
    record = stage.root / RESUME / stage.name / "run.json"
    tracker = _open(stage, params, record)
    try:
        yield tracker
        status = "FINISHED"
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or stage.interruption.signal is not None
        status = "KILLED" if stopped else "FAILED"
        raise
    finally:
        if "logger" in tracker.__dict__:
            tracker.logger.save()
        tracker.end(status)
        record.unlink(missing_ok=True)


@contextmanager
def parent_run(root: Path, tags: Mapping[str, str]) -> Iterator[str]:
    """A run that the stages started inside the block belong to; its id goes into `PARENT`.

    Raises:
        TrackingError: the server does not answer; the block is not entered.
    """
    record = root / RESUME / "run.json"
    client, experiment = connect(root)
    _close_left_open(client, record)
    tracker = Tracker(
        client, _create(client, experiment, "pipeline", {**origin(root), **tags}), "pipeline"
    )
    _remember(record, tracker.run_id, "")
    os.environ[PARENT] = tracker.run_id
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
        tracker.end(status)
        record.unlink(missing_ok=True)


def origin(root: Path) -> dict[str, str]:
    """Where a result comes from: git commit, whether files were changed, digest of `dvc.lock`."""
    found = {}
    commit = _git(root, "rev-parse", "HEAD")
    if commit:
        found["git.commit"] = commit
        found["git.dirty"] = str(bool(_git(root, "status", "--porcelain"))).lower()
    if (root / "dvc.lock").is_file():
        found["dvc.lock"] = content_digest(root / "dvc.lock")
    return found


def clean(name: str) -> str:
    """A metric name that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)


def _open(stage: Stage, params: Mapping[str, Any], record: Path) -> Tracker:
    from mlflow.entities import Param

    client, experiment = connect(stage.root)
    with _answered():
        run_id = _left_open(client, record, stage.fingerprint)
        if run_id is None:
            parent = os.environ.get(PARENT)
            tags = {"stage": stage.name, "fingerprint": stage.fingerprint, **origin(stage.root)}
            if parent:
                tags["mlflow.parentRunId"] = parent
            run_id = _create(client, experiment, stage.name, tags)
            values = [Param(clean(k), str(v)[:PARAM_LENGTH]) for k, v in params.items()]
            for start in range(0, len(values), 100):
                client.log_batch(run_id, params=values[start : start + 100])
    _remember(record, run_id, stage.fingerprint)
    return Tracker(client, run_id, stage.name)


def connect(root: Path) -> tuple[MlflowClient, str]:
    """Client and experiment id; local artifacts lie in the project, wherever one stands."""
    with _answered():
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table it makes
        uri = os.environ["MLFLOW_TRACKING_URI"]
        client = MlflowClient(uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = client.get_experiment_by_name(name)
        if found is not None:
            return client, str(found.experiment_id)
        place = (root / "mlruns").as_uri() if uri.startswith("sqlite:") else None
        return client, str(client.create_experiment(name, artifact_location=place))


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # network, data base, credentials: one remedy for all
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise TrackingError(
            f"the MLflow tracking store {uri} does not answer ({first}); start it, or unset "
            "MLFLOW_TRACKING_URI to track in the project"
        ) from error


def _create(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    with _answered():
        return str(client.create_run(experiment, tags=dict(tags), run_name=name).info.run_id)


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


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
