from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.tracking.store import (
    TrackingError,
    answered,
    artifact_location,
    connect,
    without_password,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (
            "postgresql+psycopg2://me:secret@host:5432/db",
            "postgresql+psycopg2://me:***@host:5432/db",
        ),
        ("https://me:s%40e@host/path", "https://me:***@host/path"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////project/mlflow.db", "sqlite:////project/mlflow.db"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_the_error_keeps_the_password_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/db")
    with (
        pytest.raises(TrackingError, match=r"me:\*\*\*@host/db does not answer") as raised,
        answered(),
    ):
        raise OSError("refused")
    assert "secret" not in str(raised.value)


def test_artifacts_stay_with_the_project_unless_a_server_has_them(tmp_path: Path) -> None:
    here = (tmp_path / "mlruns").as_uri()
    assert artifact_location(f"sqlite:///{tmp_path}/mlflow.db", tmp_path) == here
    assert artifact_location("postgresql://me@host/db", tmp_path) == here
    assert artifact_location("http://127.0.0.1:5000", tmp_path) is None
    assert artifact_location("databricks", tmp_path) is None
    copy = tmp_path / ".dvc/tmp/exps/tmpx1"
    assert artifact_location("sqlite:///x", copy) == here, "a copy is thrown away"


def test_our_own_errors_are_not_the_servers() -> None:
    with pytest.raises(HmerError, match="is missing") as caught, answered():
        raise HmerError("params.yaml is missing")
    assert not isinstance(caught.value, TrackingError)


KILLED = """
import os, signal, sys
from pathlib import Path
import sqlalchemy

@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest, seen=[]):
    seen.append(statement)
    if len([s for s in seen if s.lstrip().upper().startswith("CREATE TABLE")]) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "plain":
    from mlflow import MlflowClient
    MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).search_experiments()
else:
    from pipeline.tracking.store import connect
    connect(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("who", ["plain", "ours"])
def test_a_kill_while_the_tables_are_made(
    tmp_path: Path, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where MLflow itself was killed at it, and left half a store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "9", who],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (tmp_path / "mlflow.db").exists() is (who == "plain")
    client, experiment = connect(tmp_path)
    run = client.create_run(experiment).info.run_id
    assert connect(tmp_path)[0].get_run(run).info.run_id == run, "a whole store is left alone"
    assert not list(tmp_path.glob(".mlflow.db*"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
