"""Tests of store."""

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
    LOCATIONS,
    TrackingError,
    answered,
    artifact_location,
    connect,
    relocate,
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


@pytest.mark.medium
def test_a_kill_while_the_tables_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours leaves no half store; and where MLflow itself was killed at it, it is made anew."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    for who in ("ours", "plain"):
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


def store(folder: Path, prefix: str) -> Path:
    path = folder / "mlflow.db"
    (folder / "mlruns" / "abc" / "artifacts").mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        for table in dict.fromkeys(table for table, _ in LOCATIONS):
            columns = [column for name, column in LOCATIONS if name == table]
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        connection.execute("INSERT INTO experiments VALUES (?)", (prefix,))
        connection.execute("INSERT INTO experiments VALUES ('s3://bucket/mlruns')")
        connection.execute("INSERT INTO runs VALUES (?)", (f"{prefix}/abc/artifacts",))
        connection.execute("INSERT INTO runs VALUES ('file:///elsewhere/x')")
        connection.execute(
            "INSERT INTO model_versions VALUES ('models:/m-1', ?)", (f"{prefix}/models/m-1",)
        )
    connection.close()
    return path


def rows(path: Path, query: str) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [str(value) for row in connection.execute(query) for value in row]


def test_a_moved_store_is_told_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "my project").mkdir()
    path = store(tmp_path / "my project", "file:///old/place/mlruns")
    new = (path.parent / "mlruns").as_uri()
    assert relocate(path, "mlruns") == "file:///old/place/mlruns"
    assert rows(path, "SELECT * FROM experiments") == [new, "s3://bucket/mlruns"]
    assert rows(path, "SELECT * FROM runs") == [f"{new}/abc/artifacts", "file:///elsewhere/x"]
    assert rows(path, "SELECT * FROM model_versions") == ["models:/m-1", f"{new}/models/m-1"]
    # And then it is at rest.
    assert relocate(path, "mlruns") is None


def test_artifacts_of_another_project_stay_where_they_are(tmp_path: Path) -> None:
    path = store(tmp_path, "file:///shared/mlruns")
    (tmp_path / "mlruns/abc/artifacts").rmdir()
    (tmp_path / "mlruns/abc").rmdir()
    assert relocate(path, "mlruns") is None
    assert "file:///shared/mlruns" in rows(path, "SELECT * FROM experiments")


def test_what_is_no_store_is_left_alone(tmp_path: Path) -> None:
    assert relocate(tmp_path / "mlflow.db", "mlruns") is None
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlflow.db").write_text("not a data base")
    assert relocate(tmp_path / "mlflow.db", "mlruns") is None
