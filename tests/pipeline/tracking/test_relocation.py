"""Locations in a store follow it, and nothing else is touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pipeline.tracking.store import LOCATIONS, relocate


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


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_a_moved_store_is_told_where_it_is(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "my project").mkdir()
    path = store(tmp_path / "my project", f"{scheme}/old/place/mlruns")
    here = path.parent / "mlruns"
    new = here.as_uri() if scheme else str(here)
    assert relocate(path, "mlruns") == f"{scheme}/old/place/mlruns"
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
