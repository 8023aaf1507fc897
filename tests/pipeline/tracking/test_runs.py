"""Tracking in a store of its own: status, curves, parents, what a kill leaves, no server."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.dvcfile import Declaration
from pipeline.stage import Stage
from pipeline.tracking.runs import PARENT, parent_run, stage_run
from pipeline.tracking.store import TrackingError, connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

pytestmark = pytest.mark.medium

LOAD = {"system/cpu_utilization_percentage", "system/system_memory_usage_percentage"}


@pytest.fixture(scope="module")
def store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder


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
        for step in range(25):
            tracker.metrics({"loss": 1 / (step + 1), "bad": float("nan")}, step)
        tracker.outputs(out)
        client = tracker.client
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rate"] == "0.1"
    assert run.data.metrics["val.exprate"] == 12.5
    assert "bad" not in run.data.metrics
    history = client.get_metric_history(tracker.run_id, "loss")
    assert sorted(point.step for point in history) == list(range(25))
    assert {f.path for f in client.list_artifacts(tracker.run_id)} == {
        "metrics.json",
        "params.yaml",
        "provenance.json",
        "val",
    }
    tags = {key for key in run.data.tags if not key.startswith("mlflow.")}
    assert tags == {"stage", "device", "output"}, "what one lists runs by, and no more"
    # Nothing is left behind that a later run could take for unfinished work.
    assert not (stage.root / ".resume/train/run.json").exists()


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


def points(client: MlflowClient, run: str, name: str) -> list[tuple[int, float]]:
    return sorted((p.step, p.value) for p in client.get_metric_history(run, name))


@pytest.mark.parametrize("said", [True, False], ids=["SIGTERM", "SIGKILL"])
def test_curves_and_cost_of_a_training_that_was_killed_are_whole(stage: Stage, said: bool) -> None:
    """What was sent, what was not, and what came after."""
    record = stage.root / ".resume/train/run.json"
    stage.interruption.signal = 15
    with pytest.raises(SystemExit), stage_run(stage, {"rate": 1}) as tracker:
        tracker.metrics({"loss": 4.0, "accuracy": 10.0}, 20)
        if said:
            tracker.metrics({"loss": 3.0, "accuracy": 20.0}, 40)
        raise SystemExit(143)
    client, left = tracker.client, tracker.run_id
    assert client.get_run(left).info.status == "KILLED" and record.exists()
    client.log_metric(left, "cost.seconds", 1000.0, step=0)
    if not said:
        client.set_terminated(left, "RUNNING")

    stage.interruption.signal = None
    out = stage.root / "out"
    out.mkdir()
    (out / "curves.csv").write_text(
        "step,accuracy,loss,val\n20,10,4,\n40,20,3,1\n60,30,2,\n", encoding="utf-8"
    )
    (out / "metrics.json").write_text('{"loss": 2.0, "val": 1.0, "epochs": 3}')
    with stage_run(stage, {"rate": 1}) as tracker:
        tracker.metrics({"loss": 2.0, "accuracy": 30.0}, 60)
        tracker.outputs(out)
    assert tracker.run_id == left and not record.exists()
    run = client.get_run(left)
    assert run.info.status == "FINISHED" and run.data.tags["continued"] == "1"
    assert points(client, left, "loss") == [(20, 4.0), (40, 3.0), (60, 2.0)]
    assert points(client, left, "accuracy") == [(20, 10.0), (40, 20.0), (60, 30.0)]
    assert points(client, left, "val") == [(40, 1.0)], "no final value at step 0"
    assert run.data.metrics["epochs"] == 3
    assert run.data.metrics["cost.seconds"] > 1000
    assert ("cost.incomplete" in run.data.tags) is not said


def test_a_run_that_was_removed_is_not_gone_on_with(stage: Stage) -> None:
    left = killed(stage)
    connect(stage.root)[0].delete_run(left)
    (stage.root / "out").mkdir()
    (stage.root / "out/curves.csv").write_text("step,loss\n20,4\n40,3\n")
    with stage_run(stage, {"rate": 1}) as tracker:
        tracker.metrics({"loss": 3.0}, 40)
        tracker.outputs(stage.root / "out")
    assert tracker.run_id != left
    assert points(tracker.client, tracker.run_id, "loss") == [(20, 4.0), (40, 3.0)]


def test_other_work_closes_what_was_left(stage: Stage) -> None:
    left = killed(stage)
    (stage.root / "data").write_text("other")
    other = replace(stage)
    with stage_run(other, {"rate": 1}) as tracker:
        assert tracker.run_id != left
    assert tracker.client.get_run(left).info.status == "KILLED"


def test_the_load_of_the_machine_is_on_a_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    with stage_run(stage, {}) as tracker:
        deadline = time.monotonic() + 60
        while not (found := tracker.client.get_run(tracker.run_id).data.metrics.keys() & LOAD):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert found == LOAD


def test_one_parent_over_all_stages(stage: Stage, store: Path) -> None:
    with parent_run(store, {"stage": "pipeline"}) as parent:
        assert os.environ[PARENT] == parent
        with stage_run(stage, {}) as tracker:
            pass
    assert PARENT not in os.environ
    assert tracker.client.get_run(tracker.run_id).data.tags["mlflow.parentRunId"] == parent
    assert newest(tracker.client, store, "pipeline").info.status == "FINISHED"


def test_a_list_of_runs_says_what_came_out(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    (tmp_path / "params.yaml").write_text("ingest: {source: crohme}\nmodel: {name: comer}\n")
    done = {
        "model": "hmer", "version": 3, "decision": "champion", "reason": "better beyond noise",
        "split": "dev-2013", "exprate": 57.142, "evaluation_data": "ab" * 32,
        "comparison": {"gain": 1.5}, "interval": [55.0, 59.25],
        "champion_before": {"version": 1},
    }  # fmt: skip
    (tmp_path / "dvc.lock").write_text(
        "stages: {ingest: {outs: [{path: data/dataset, md5: abc.dir}]}}"
    )
    client, experiment = connect(tmp_path)
    before = client.create_run(experiment).info.run_id
    old = tmp_path / "old"
    old.mkdir()
    (old / "params.yaml").write_text("ingest: {source: crohme}\nmodel: {name: bttr}\n")
    client.log_artifact(before, str(old / "params.yaml"))
    client.create_registered_model("hmer")
    client.create_model_version("hmer", str(old), run_id=before)
    sets = {"dev-2013": {"exprate": 57.142}, "val": {"exprate": 79.5}, "seconds": 1.0}
    (tmp_path / "reports/evaluation.json").write_text(json.dumps(sets))
    with parent_run(tmp_path, {"prefect.run": "swift-hare"}) as parent:
        (tmp_path / "reports/registration.json").write_text(json.dumps(done))
    run = client.get_run(parent)
    score = "ExpRate 57.1 % (55.0 to 59.2)"
    assert run.info.run_name == f"57.1 % champion 3: comer on crohme, model.name=comer, {score}"
    wanted = {"exprate": 57.142, "exprate_low": 55.0, "exprate_high": 59.25, "gain": 1.5}
    assert run.data.metrics.items() >= {**wanted, "val.exprate": 79.5}.items()
    tags = {"decision": "champion", "version": "3", "score": score, "dvc.data": "abc.dir"}
    assert run.data.tags.items() >= tags.items()
    shown = {key for key in run.data.tags if not key.startswith("mlflow.")}
    assert shown == {*tags, "prefect.run", "device"}
    note = run.data.tags["mlflow.note.content"]
    for part in ("Better beyond noise", "abc.dir", "swift-hare", "| stage | what happened |"):
        assert part in note
    assert run.data.tags["mlflow.source.name"] == "pipeline: pipeline"
    with pytest.raises(RuntimeError), parent_run(tmp_path, {}) as failed:
        raise RuntimeError
    assert client.get_run(failed).info.run_name == "pipeline", "the report is not this run's"


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
