"""A cached stage is linked to the run that made its output; inputs lead to the runs behind them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hmer.errors import HmerError
from pipeline.dvcfile import declaration, declarations, upstream
from pipeline.stage import Stage
from pipeline.tracking.provenance import (
    PARENT_TAG,
    PROVENANCE,
    changed_code,
    origin,
    output_digest,
    producers,
    raw_data,
)
from pipeline.tracking.runs import PARENT, parent_run, stage_run
from pipeline.tracking.store import connect
from pipeline.tracking.tracker import Tracker
from tests.pipeline.conftest import commit_all

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.medium


DVC_YAML = """
stages:
  early: {cmd: x, deps: [raw, code.py], outs: [out/early]}
  middle: {cmd: x, deps: [out/early/value], outs: [out/middle]}
  late: {cmd: x, deps: [out/early, out/middle], outs: [late.json: {cache: false}]}
"""


@pytest.fixture(scope="module")
def store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def root(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    monkeypatch.delenv(PARENT, raising=False)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("raw: raw\nearly: {rate: 0.5}\n")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ink").write_text("ink")
    (tmp_path / "code.py").write_text("")
    yield tmp_path


def ran(root: Path, name: str, text: str) -> Tracker:
    stage = Stage(name, root, declaration(root, name))
    with stage_run(stage, {}) as tracker:
        out = root / stage.declared.outs[0]
        if out.suffix:
            out.write_text(text)
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / "value").write_text(text)
    return tracker


def provenance(client: MlflowClient, run: str) -> dict[str, Any]:
    """What the artifact says."""
    return dict(json.loads(Path(client.download_artifacts(run, PROVENANCE)).read_text()))


def test_what_rests_on_what(root: Path) -> None:
    declared = declarations(root)
    assert upstream(declared) == {"early": set(), "middle": {"early"}, "late": {"early", "middle"}}


def test_cached_stages_are_linked_to_the_runs_that_made_their_outputs(root: Path) -> None:
    with parent_run(root, {"stage": "pipeline"}) as first:
        early = ran(root, "early", "a")
        middle = ran(root, "middle", "a")
    client, experiment = connect(root)
    assert provenance(client, middle.run_id)["inputs"] == {"early": early.run_id}
    stages = provenance(client, first)["stages"]
    assert (stages["early"]["run_id"], stages["early"]["state"]) == (early.run_id, "ran")
    assert stages["late"]["state"] == "missing"
    told = client.get_run(first).data
    assert told.params["early.rate"] == "0.5"
    assert early.run_id[:8] in told.tags["mlflow.note.content"]

    # Only `late` runs: the two before it are where they were.
    with parent_run(root, {"stage": "pipeline"}) as second:
        late = ran(root, "late", "a")
    stages = provenance(client, second)["stages"]
    assert (stages["early"]["run_id"], stages["early"]["state"]) == (early.run_id, "cached")
    assert stages["late"]["state"] == "ran"
    assert client.get_run(second).data.tags["stage"] == "pipeline"

    # Another output, and then the first one again, as a cache brings it back.
    other = ran(root, "early", "b")
    assert producers(client, experiment, root)["early"].info.run_id == other.run_id
    (root / "out/early/value").write_text("a")
    runs = producers(client, experiment, root)
    assert {name: run.info.run_id for name, run in runs.items()} == {
        "early": early.run_id,
        "middle": middle.run_id,
        "late": late.run_id,
    }
    (root / "late.json").unlink()
    assert "late" not in producers(client, experiment, root)


def test_a_failed_stage_shows_in_its_parent(root: Path) -> None:
    stage = Stage("early", root, declaration(root, "early"))
    with (
        pytest.raises(HmerError),
        parent_run(root, {"stage": "pipeline"}) as parent,
        stage_run(stage, {}),
    ):
        raise HmerError("no")
    client, _ = connect(root)
    told = client.get_run(parent)
    assert told.info.status == "FAILED"
    early = provenance(client, parent)["stages"]["early"]
    assert early["state"] == "failed"
    child = client.get_run(early["run_id"])
    assert child.data.tags[PARENT_TAG] == parent
    assert "output" not in child.data.tags


def test_data_cost_and_device(root: Path) -> None:
    import mlflow.data
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a", "b"], "n": [1, 2]}), root / "raw/train.parquet")
    tracker = ran(root, "early", "a")
    run = tracker.client.get_run(tracker.run_id)
    assert run.data.metrics["cost.seconds"] > 0
    assert run.data.metrics["cost.cpu_seconds"] > 0
    assert "cores of" in run.data.tags["device"]
    assert run.inputs is not None
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == "raw/train"
    assert given.dataset.profile == '{"num_rows": 2}'
    assert mlflow.data.get_source(given).to_dict() == {"uri": "raw/train.parquet"}
    assert {tag.key: tag.value for tag in given.tags}["mlflow.data.context"] == "input"


def test_where_it_comes_from(root: Path) -> None:
    found = origin(root)
    assert "git.commit" not in found
    assert len(found["params"]) == 64
    found_raw = raw_data(root)
    assert found_raw is not None and found_raw[0] == "raw"
    (root / "raw/ink").write_text("other")
    assert raw_data(root) != found_raw

    commit_all(root)
    assert origin(root)["git.dirty"] == "false"
    # Parameters are kept with the run, outputs change by it: neither makes the code dirty.
    (root / "params.yaml").write_text("raw: raw\n")
    (root / "late.json").write_text("{}")
    assert changed_code(root) == []
    (root / "code.py").write_text("x = 1")
    assert changed_code(root) == ["code.py"]
    assert origin(root)["git.changed"] == "code.py"


def test_an_output_that_is_not_there_has_no_digest(root: Path) -> None:
    assert output_digest(declaration(root, "middle"), root) is None
    assert os.environ.get(PARENT) is None
