"""The tracking store: how it is reached, also where the project was moved."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hmer.errors import HmerError
from hmer.files import atomic_file
from pipeline.env import lasting_root
from pipeline.process import hold

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
            found = connection.execute(
                "SELECT artifact_location || '/' FROM experiments WHERE artifact_location LIKE "
                "'file:%'"
            )
            parts = [place.rpartition(f"/{artifacts}/") for (place,) in found]
            recorded = {f"{head}/{artifacts}" for head, mark, _ in parts if mark}
            # A prefix that still exists may be another project's, which this one shares.
            old = recorded - {here.as_uri()}
            stale = sorted(prefix for prefix in old if _belongs(connection, prefix, here))
            with connection:
                for prefix in stale:
                    _replace(connection, prefix, here.as_uri())
        except sqlite3.DatabaseError:
            return None  # not MLflow's tables: MLflow will say what is wrong
    return stale[0] if stale else None


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


EXPERIMENT = "hmer"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow's user interface opens an experiment on its runs, not on traces of agents."""
ARTIFACTS = "mlruns"
"""Folder of a project-local store's artifacts."""
SERVERS = ("http:", "https:", "databricks")
"""How the addresses of servers begin; all others are data bases that this process opens."""


class TrackingError(HmerError):
    """The tracking server does not answer, or refuses."""

    exit_code = 75


def connect(root: Path) -> tuple[MlflowClient, str]:
    """Client and experiment id; local artifacts lie in the project, wherever one stands.

    Raises:
        TrackingError: the server does not answer.
    """
    with answered():
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table it makes
        uri = os.environ["MLFLOW_TRACKING_URI"]
        if uri.startswith("sqlite:///") and "?" not in uri:
            store = Path(uri.removeprefix("sqlite:///"))
            make_store(store)
            relocate(store, ARTIFACTS)
        client = MlflowClient(uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = client.get_experiment_by_name(name)
        if found is not None:
            return client, str(found.experiment_id)
        place = artifact_location(uri, root)
        return client, str(client.create_experiment(name, place, tags=KIND))


def make_store(store: Path) -> None:
    """Make an SQLite store whole, under another name at first; one that is there is left alone.

    MLflow makes its tables one by one, and cannot go on where it was killed meanwhile: what such a
    kill has left is replaced.

    Raises:
        HmerError: another process does not come to an end with it.
    """
    if not _half_made(store):
        return
    from mlflow import MlflowClient

    with hold(store.with_name(f"{store.name}.lock"), "the tracking store", PATIENCE):
        if not _half_made(store):
            return
        with atomic_file(store) as partial:
            MlflowClient(f"sqlite:///{partial}").search_experiments()
            for end in ("-journal", "-wal", "-shm"):  # they belong to what is replaced
                store.with_name(f"{store.name}{end}").unlink(missing_ok=True)


def _half_made(store: Path) -> bool:
    """Whether a store is missing, or was never finished: then it has no experiment, so no run."""
    if not store.is_file() or not store.stat().st_size:
        return True
    with closing(sqlite3.connect(store, timeout=PATIENCE)) as connection:
        try:
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is None
        except sqlite3.DatabaseError as error:
            return "no such table" in str(error)  # otherwise MLflow will say what is wrong


def artifact_location(uri: str, root: Path) -> str | None:
    """Where a new experiment keeps its artifacts; None where a server decides that by itself.

    A data base, in this project or not, would otherwise put them into whatever folder happens to be
    the working directory.
    """
    return None if uri.startswith(SERVERS) else (lasting_root(root) / ARTIFACTS).as_uri()


@contextmanager
def answered() -> Iterator[None]:
    """Turn any failure of the store in the block into one line with the remedy.

    Raises:
        TrackingError: the block failed.
    """
    try:
        yield
    except HmerError:
        raise  # ours, with a remedy of its own
    except Exception as error:  # network, data base, credentials: one remedy for all
        uri = without_password(os.environ.get("MLFLOW_TRACKING_URI", ""))
        raise TrackingError(
            f"the MLflow tracking store {uri} does not answer ({first_line(error)[:200]}); start "
            "it, or unset MLFLOW_TRACKING_URI to track in the project"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says, or is called, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def without_password(uri: str) -> str:
    """An address that may be shown: `postgresql://me:secret@host/db` without the secret."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:***@{place}").geturl()
