"""A tracking server on the loopback address that keeps the artifacts itself.

The project knows its URL and nothing else: no data base, no folder with artifacts. Two processes
and half a minute, so only where they are asked for: `HMER_SLOW=1`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.dvcfile import Declaration
from pipeline.env import BEHAVIOUR, PRIVACY
from pipeline.flow.serve import free_port
from pipeline.process import end_group
from pipeline.registry.versions import FOLDER, fetch, find_version
from pipeline.stage import Stage
from pipeline.tracking.runs import stage_run
from pipeline.tracking.store import connect
from tests.pipeline.conftest import tiny_model
from tests.pipeline.registry.test_versions import asks, png, registered, served

pytestmark = pytest.mark.slow

PATIENCE = 600


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """URL of a server, and the folder where it keeps everything."""
    home = tmp_path_factory.mktemp("server")
    port = free_port(0)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    store = ("--backend-store-uri", f"sqlite:///{home}/mlflow.db")
    artifacts = ("--serve-artifacts", "--artifacts-destination", str(home / "artifacts"))
    with (home / "log").open("wb") as log:
        child = subprocess.Popen(
            [*command, "--port", str(port), *store, *artifacts],
            cwd=home, env={**os.environ, **PRIVACY, **BEHAVIOUR}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(f"{url}/health"):
            assert child.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url, home
    finally:
        end_group(child)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture
def project(far: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models, a test set, and the address of the server."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, value in {**PRIVACY, **BEHAVIOUR}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", far[0])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(PATIENCE))
    for seed in (1, 2):
        tiny_model(tmp_path / f"model-{seed}", seed)
    (tmp_path / "test-a").mkdir()
    table = pa.table({"image": [png(1), png(2)], "latex": ["x", "y"]})
    pq.write_table(table, tmp_path / "test-a/test.parquet")
    (tmp_path / "params.yaml").write_text("register: {name: toy}")
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    return tmp_path


def test_runs_versions_and_champion_by_way_of_the_server(
    far: tuple[str, Path], project: Path
) -> None:
    _, home = far
    logged(project)
    (picture,) = home.rglob("plot.png")
    assert picture.read_bytes() == b"picture"

    assert registered(project, asks(project, 1, 80))["decision"] == "champion"
    # The evidence of the champion comes back through the server: they are compared in pairs.
    second = registered(project, asks(project, 2, 120))
    assert second["decision"] == "champion"
    assert second["champion_before"]["version"] == 1
    assert second["comparison"]["only_challenger"] == 40

    fetched = fetch(connect(project)[0], "toy", project) / "model.safetensors"
    assert fetched == project / FOLDER / "model.safetensors"
    assert fetched.read_bytes() == (project / "model-2/model.safetensors").read_bytes()
    good, bad, _, code = served(project)
    assert good["error"] == "" and bad["error"]
    assert not code.startswith((str(Path.cwd()), str(home))), "the code came from the server"

    client, _ = connect(project)
    found = find_version(client, "toy", "champion")
    assert int(found.version) == 2 and str(found.run_id)
    assert not (project / "mlruns").exists() and not (project / "mlflow.db").exists()


def logged(project: Path) -> None:
    """A stage with curves, a metric and a picture."""
    out = project / "out"
    out.mkdir()
    (out / "plot.png").write_bytes(b"picture")
    (out / "metrics.json").write_text('{"val": {"exprate": 12.5}}')
    stage = Stage("train", project, Declaration("train", (), (), ()))
    with stage_run(stage, {"rate": 0.1}) as tracker:
        for step in range(15):
            tracker.metrics({"loss": 1 / (step + 1)}, step)
        tracker.outputs(out)
    assert not tracker.told, "the server did not take something"
    run = tracker.client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert run.data.metrics["val.exprate"] == 12.5
    assert len(tracker.client.get_metric_history(tracker.run_id, "loss")) == 15
