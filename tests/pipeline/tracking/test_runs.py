"""Tracking in a store of its own: status, curves, parents, what a kill leaves, no server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.declaration import Declaration
from pipeline.stage import Stage
from pipeline.tracking.runs import PARENT, TrackingError, connect, parent_run, stage_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def uri(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    monkeypatch.delenv(PARENT, raising=False)
    yield


@pytest.fixture
def stage(store: Path, tmp_path: Path) -> Stage:
    (tmp_path / "params.yaml").write_text("train: {rate: 1}")
    (tmp_path / "data").write_text("x")
    return Stage("train", tmp_path, Declaration("train", ("data",), ("out",), ("train",)))


def newest(client: MlflowClient, store: Path, name: str = "train") -> Run:
    _, experiment = connect(store)
    found = client.search_runs(
        [experiment], f"attributes.run_name = '{name}'", order_by=["start_time DESC"]
    )
    return found[0]


def test_a_run_with_params_curves_metrics_and_files(stage: Stage, store: Path) -> None:
    out = stage.root / "out"
    (out / "val").mkdir(parents=True)
    (out / "metrics.json").write_text('{"val": {"exprate": 12.5, "name": "x"}}')
    (out / "val" / "curve.csv").write_text("a\n1\n")
    (out / "weights.safetensors").write_bytes(b"0")
    with stage_run(stage, {"rate": 0.1, "text": "y" * 9000}) as tracker:
        for step in range(2500):
            tracker.logger.log_metrics({"loss": 1 / (step + 1), "bad": float("nan")}, step)
        tracker.outputs(out)
        client = tracker.client
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rate"] == "0.1"
    assert run.data.metrics["val.exprate"] == 12.5
    assert "bad" not in run.data.metrics
    history = client.get_metric_history(tracker.run_id, "loss")
    assert sorted(point.step for point in history) == list(range(2500))
    assert {f.path for f in client.list_artifacts(tracker.run_id)} == {
        "metrics.json",
        "params.yaml",
        "val",
    }
    assert run.data.tags["stage"] == "train"
    # Nothing is left behind that a later run could take for unfinished work.
    assert not (stage.root / ".resume/train/run.json").exists()


def test_a_step_costs_next_to_nothing(stage: Stage) -> None:
    with stage_run(stage, {}) as tracker:
        logger = tracker.logger  # its first use imports Lightning
        began = time.process_time()
        for step in range(2000):
            logger.log_metrics({"loss": 1.0, "accuracy": 0.5}, step)
        logger.save()
        each = (time.process_time() - began) / 2000
    assert each < 0.001  # a log_metric call of its own takes 8 ms, a training step 100 and more


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("x"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_how_it_ended(stage: Stage, store: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), stage_run(stage, {}) as tracker:
        raise error
    assert tracker.client.get_run(tracker.run_id).info.status == status


def test_an_exit_after_a_signal_is_a_kill(stage: Stage) -> None:
    """Lightning turns Ctrl-C into an exit."""
    stage.interruption.signal = 2
    with pytest.raises(SystemExit), stage_run(stage, {}) as tracker:
        raise SystemExit(1)
    assert tracker.client.get_run(tracker.run_id).info.status == "KILLED"


def killed(stage: Stage) -> str:
    """Open a run and vanish, as under SIGKILL."""
    context = stage_run(stage, {"rate": 1})
    tracker = context.__enter__()
    record = stage.root / ".resume/train/run.json"
    text = record.read_text()
    assert json.loads(text)["run"] == tracker.run_id
    context.__exit__(None, None, None)
    tracker.client.set_terminated(tracker.run_id, "RUNNING")
    record.write_text(text)
    return tracker.run_id


def test_the_same_work_goes_on_in_the_same_run(stage: Stage) -> None:
    left = killed(stage)
    with stage_run(stage, {"rate": 1}) as tracker:
        assert tracker.run_id == left
    assert tracker.client.get_run(left).info.status == "FINISHED"


def test_other_work_closes_what_was_left(stage: Stage) -> None:
    left = killed(stage)
    (stage.root / "data").write_text("other")
    other = replace(stage)
    with stage_run(other, {"rate": 1}) as tracker:
        assert tracker.run_id != left
    assert tracker.client.get_run(left).info.status == "KILLED"


def test_one_parent_over_all_stages(stage: Stage, store: Path) -> None:
    with parent_run(store, {"stage": "pipeline"}) as parent:
        assert os.environ[PARENT] == parent
        with stage_run(stage, {}) as tracker:
            pass
    assert PARENT not in os.environ
    assert tracker.client.get_run(tracker.run_id).data.tags["mlflow.parentRunId"] == parent
    assert newest(tracker.client, store, "pipeline").info.status == "FINISHED"


def test_a_parent_that_a_kill_left_open_is_closed_by_the_next(tmp_path: Path) -> None:
    with parent_run(tmp_path, {}) as left:
        text = (tmp_path / ".resume/run.json").read_text()
    client, _ = connect(tmp_path)
    client.set_terminated(left, "RUNNING")
    (tmp_path / ".resume/run.json").write_text(text)
    with parent_run(tmp_path, {}) as fresh:
        assert fresh != left
    assert client.get_run(left).info.status == "KILLED"
    assert client.get_run(fresh).info.status == "FINISHED"


def test_a_server_that_is_not_there_is_known_before_any_work(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with (
        pytest.raises(TrackingError, match=r"http://127.0.0.1:9 does not answer") as caught,
        stage_run(stage, {}),
    ):
        pytest.fail("the work was begun")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 75


def test_a_server_that_goes_away_does_not_stop_the_work(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage_run(stage, {}) as tracker:

        def gone(*_: object) -> None:
            raise ConnectionError("connection refused\nand more")

        monkeypatch.setattr(tracker.client, "log_batch", gone)
        tracker.metrics({"loss": 1.0})
    assert capsys.readouterr().err == "warning: train: not tracked: connection refused\n"
