"""A project that was moved or copied still finds its runs and models.

MLflow writes absolute artifact locations into its data base, whatever it is given
(https://github.com/mlflow/mlflow/issues/3144). A store inside the project, with its artifacts
beside it, is therefore told its new place: the old prefix of every location becomes the new one,
in one transaction. Stores that are not such a pair of neighbours are left alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow 3 that hold an artifact location."""
PATIENCE = 30.0
"""Seconds to wait for another process that writes to the store."""


def relocate(store: Path, artifacts: str) -> str | None:
    """Bring the locations in an SQLite store up to date with where it lies now.

    Args:
        store: the data base file; nothing is done where it does not exist.
        artifacts: name of the artifact folder beside it.

    Returns:
        The old prefix, if there was one to replace.
    """
    here = store.resolve().parent / artifacts
    if not store.is_file() or not here.is_dir():
        return None
    with closing(sqlite3.connect(store, timeout=PATIENCE)) as connection:
        try:
            old = _recorded(connection, artifacts)
            stale = sorted({prefix for prefix in old if _path(prefix) != here})
            # A prefix that still exists may be another project's, which this one shares.
            stale = [prefix for prefix in stale if _belongs(connection, prefix, here)]
            if not stale:
                return None
            with connection:
                for prefix in stale:
                    _replace(connection, prefix, _like(prefix, here))
        except sqlite3.DatabaseError:
            return None  # not MLflow's tables: MLflow will say what is wrong
    return stale[0]


def _recorded(connection: sqlite3.Connection, artifacts: str) -> set[str]:
    """The prefixes, ending in the artifact folder, that experiments are recorded under."""
    rows = connection.execute("SELECT artifact_location FROM experiments")
    found = set()
    for (location,) in rows:
        place = str(location or "")
        if place.startswith(("file:", "/")):
            head, mark, _ = f"{place}/".rpartition(f"/{artifacts}/")
            if mark:
                found.add(f"{head}/{artifacts}")
    return found


def _belongs(connection: sqlite3.Connection, prefix: str, here: Path) -> bool:
    """Whether the artifacts recorded under `prefix` are those that lie in `here`."""
    rows = connection.execute(
        "SELECT artifact_uri FROM runs WHERE substr(artifact_uri, 1, ?) = ? LIMIT 200",
        (len(prefix) + 1, f"{prefix}/"),
    ).fetchall()
    inside = [str(uri).removeprefix(f"{prefix}/") for (uri,) in rows]
    return not inside or any((here / unquote(part)).exists() for part in inside)


def _replace(connection: sqlite3.Connection, old: str, new: str) -> None:
    for table, column in LOCATIONS:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )


def _path(prefix: str) -> Path:
    return Path(unquote(prefix.removeprefix("file://")))


def _like(prefix: str, here: Path) -> str:
    """`here`, spelt as the old prefix was: as a URI or as a path."""
    return here.as_uri() if prefix.startswith("file:") else str(here)
