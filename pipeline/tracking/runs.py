"""MLflow runs around a stage, and around all of them.

Runs are opened before any work is done, so that a server that does not answer is known at once. No
run id ever enters an output: equal inputs must give equal bytes.
"""

from __future__ import annotations

import getpass
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dvcfile import EVALUATION, PARAMS, REGISTRATION, locked_outs, read_report, scored_sets
from pipeline.env import RESUME
from pipeline.params import leaves, read_yaml
from pipeline.tracking.provenance import (
    NOTE,
    OUTPUT,
    PARENT_TAG,
    PROVENANCE,
    Cost,
    device,
    headline,
    input_runs,
    origin,
    output_digest,
    run_link,
    scored,
    stage_states,
    stage_table,
)
from pipeline.tracking.store import answered, connect
from pipeline.tracking.tracker import TAG_LENGTH, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from pipeline.stage import Stage


def remember(record: Path, run_id: str, fingerprint: str) -> None:
    """Write down that a run is open, and what work it is for."""
    record.parent.mkdir(parents=True, exist_ok=True)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    values = {"uri": uri, "run": run_id, "fingerprint": fingerprint}
    record.write_text(json.dumps(values), encoding="utf-8")


def left_open(client: MlflowClient, record: Path, fingerprint: str | None = None) -> Run | None:
    """The run on record that was killed, if it did the same work as we shall; any other is closed.

    One that is gone, or has ended by itself, is neither.
    """
    from mlflow.exceptions import MlflowException

    left = read_report(record)
    if left.get("uri") != os.environ["MLFLOW_TRACKING_URI"]:
        return None
    try:
        run = client.get_run(str(left["run"]))
    except MlflowException:
        return None
    if run.info.lifecycle_stage != "active" or run.info.status not in ("RUNNING", "KILLED"):
        return None
    if left.get("fingerprint") == fingerprint:
        return run
    if run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, "KILLED")
    return None


PARENT = "HMER_PARENT_RUN"
"""Environment variable with the id of the run that the stage runs belong to."""
DATASET = "data/dataset"
CONTINUED = "continued"
"""Tag: how often the run was killed and went on."""
INCOMPLETE = "cost.incomplete"
"""Tag: what `cost.*` does not count."""


@contextmanager
def stage_run(stage: Stage, params: Mapping[str, Any]) -> Iterator[Tracker]:
    """A run for the block, with its parameters, origin, data, cost and outcome.

    A run that was killed, and could say so or not, is continued if this is the same work (same
    fingerprint); one that was left open is otherwise closed as KILLED.

    Raises:
        TrackingError: the server does not answer; the block is not entered.
    """
    record = stage.root / RESUME / stage.name / "run.json"
    cost = Cost()
    tracker = _open(stage, params, record)
    status = "FAILED"
    try:
        with system_metrics(tracker.run_id):
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
        tracker.tags({"device": device()})
        earlier = tracker.earlier
        tracker.metrics({name: v + earlier.get(name, 0.0) for name, v in cost.so_far().items()})
        tracker.end(status)
        if status != "KILLED":
            record.unlink(missing_ok=True)


@contextmanager
def system_metrics(run_id: str) -> Iterator[None]:
    """Processor, memory, disk and network of the machine on the run, every ten seconds."""
    from mlflow.system_metrics import system_metrics_monitor

    untyped: Any = system_metrics_monitor
    uri = os.environ["MLFLOW_TRACKING_URI"]
    monitor = untyped.SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


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
    left_open(client, record)
    run_id = _create(client, experiment, "pipeline", tags, origin(root))
    tracker = Tracker(client, run_id, "pipeline", experiment)
    remember(record, run_id, "")
    os.environ[PARENT] = run_id
    cost = Cost()
    status = "FINISHED"
    try:
        yield run_id
    except Exception:
        status = "FAILED"
        raise
    except BaseException:  # Ctrl-C, and what Prefect makes of SIGTERM
        status = "KILLED"
        raise
    finally:
        del os.environ[PARENT]
        _tell(tracker, root, cost, status == "FINISHED", tags)
        tracker.end(status)
        record.unlink(missing_ok=True)


def _tell(
    tracker: Tracker, root: Path, cost: Cost, finished: bool, tags: Mapping[str, str]
) -> None:
    """What a parent run knows when its stages have ended."""
    try:
        if (root / PARAMS).is_file():
            tracker.params(dict(leaves(read_yaml(root / PARAMS))))
            tracker.artifact(root / PARAMS)
        if (root / "dvc.lock").is_file():
            tracker.artifact(root / "dvc.lock")
        stages = stage_states(tracker.client, tracker.experiment, root, tracker.run_id)
        tracker.document({**origin(root), "stages": stages}, PROVENANCE)
        found = {NOTE: stage_table(stages, tracker.experiment), "device": device()}
        if version := locked_outs(root).get(DATASET):
            found["dvc.data"] = version
        if finished and (done := read_report(root / REGISTRATION)):
            found |= _outcome(tracker, root, done)
            lines = [headline(done), ""]
            if evaluate := stages.get("evaluate", {}).get("run_id"):
                page = run_link(evaluate, tracker.experiment, f"{done['split']}/index.html")
                lines.append(f"- Report: {page}")
            if prefect := tags.get("prefect.run"):
                lines.append(f"- Prefect run: {prefect}")
            lines.append(
                f"- Data: DVC `{version}`, scored on sha256 `{done['evaluation_data'][:12]}`"
            )
            found[NOTE] = "\n".join([*lines, "", found[NOTE]])
        tracker.tags(found)
        tracker.metrics({"cost.seconds": cost.so_far()["cost.seconds"]})
    except Exception as error:  # what happened must not be hidden by this
        tracker.warn(error)


def _outcome(tracker: Tracker, root: Path, done: Mapping[str, Any]) -> dict[str, str]:
    """Name of a parent run, the score and decision first, and its scores; its tags."""
    params = read_yaml(root / PARAMS)
    chosen = (params.get("model") or {}).get("name", "mask-match")
    source = (params.get("ingest") or {}).get("source", "synthetic")
    changes = _changes(tracker.client, root, done)
    what = ", ".join([f"{chosen} on {source}", *changes[:3], *["..."][: len(changes) > 3]])
    # A list of runs shows some fifteen characters.
    name = f"{done['exprate']:.1f} % {done['decision']} {done['version']}: {what}, {scored(done)}"
    tracker.client.update_run(tracker.run_id, name=name)
    low, high = done.get("interval") or (None, None)
    sets = read_report(root / EVALUATION)
    tracker.metrics(
        {
            "exprate": done["exprate"],
            "exprate_low": low,
            "exprate_high": high,
            "gain": (done["comparison"] or {}).get("gain"),
            **{f"{name}.exprate": row["exprate"] for name, row in scored_sets(sets).items()},
        }
    )
    return {"decision": done["decision"], "version": str(done["version"]), "score": scored(done)}


def _changes(client: MlflowClient, root: Path, done: Mapping[str, Any]) -> list[str]:
    """Parameters that differ from those of the champion that was met, as `key=value`."""
    from mlflow.exceptions import MlflowException

    if not done.get("champion_before"):
        return []
    try:
        rival = client.get_model_version(done["model"], str(done["champion_before"]["version"]))
        with tempfile.TemporaryDirectory() as folder:
            file = client.download_artifacts(str(rival.run_id), PARAMS, folder)
            before = dict(leaves(read_yaml(Path(file))))
    except (MlflowException, OSError):
        return []
    now = dict(leaves(read_yaml(root / PARAMS)))
    return [f"{k}={now.get(k)}" for k in sorted({*now, *before}) if now.get(k) != before.get(k)]


def _open(stage: Stage, params: Mapping[str, Any], record: Path) -> Tracker:
    client, experiment = connect(stage.root)
    with answered():
        found = left_open(client, record, stage.fingerprint)
        if found is not None:
            return _continued(stage, Tracker(client, found.info.run_id, stage.name, experiment))
        tags, made_from = {"stage": stage.name}, origin(stage.root)
        inputs = input_runs(client, experiment, stage.declared, stage.root)
        if parent := os.environ.get(PARENT):
            tags[PARENT_TAG] = parent
        if name := os.environ.get("DVC_EXP_NAME"):
            tags["dvc.experiment"] = name
        run_id = _create(client, experiment, stage.name, tags, made_from)
    remember(record, run_id, stage.fingerprint)
    tracker = Tracker(client, run_id, stage.name, experiment)
    tracker.document({**made_from, "fingerprint": stage.fingerprint, "inputs": inputs}, PROVENANCE)
    tracker.params(params)
    tracker.data(list(stage.declared.deps), stage.root, "input")
    if (stage.root / PARAMS).is_file():
        tracker.artifact(stage.root / PARAMS)
    return tracker


def _continued(stage: Stage, tracker: Tracker) -> Tracker:
    """A run that was killed, open again, with what it has cost so far."""
    client, run = tracker.client, tracker.client.get_run(tracker.run_id)
    tracker.earlier = {k: v for k, v in run.data.metrics.items() if k.startswith("cost.")}
    times = int(run.data.tags.get(CONTINUED, 0)) + 1
    tags = {CONTINUED: str(times)}
    if run.info.status == "RUNNING":  # a SIGKILL, which left no time to say what it had cost
        tags[INCOMPLETE] = "without a part that ended by SIGKILL"
    if parent := os.environ.get(PARENT):
        tags[PARENT_TAG] = parent
    client.update_run(tracker.run_id, status="RUNNING")
    tracker.tags(tags)
    return tracker


def _create(
    client: MlflowClient,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    made_from: Mapping[str, str],
) -> str:
    """A run with tags that fill MLflow's own columns: who, what program, which commit."""
    source = {"mlflow.source.name": f"pipeline: {name}", "mlflow.source.type": "LOCAL"}
    if commit := made_from.get("git.commit"):
        source |= {"mlflow.source.git.commit": commit, "git.dirty": made_from["git.dirty"]}
    with suppress(KeyError, OSError):  # a container's user without a name
        source["mlflow.user"] = getpass.getuser()
    short = {key: value[:TAG_LENGTH] for key, value in {**source, **tags}.items()}
    with answered():
        return str(client.create_run(experiment, tags=short, run_name=name).info.run_id)
