"""The model registry: versions and aliases, and one registration at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hmer.errors import HmerError
from pipeline.environment import user_folder
from pipeline.locks import hold
from pipeline.registry.candidate import FILES
from pipeline.tracking.store import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
PATIENCE = 900.0
"""Seconds to wait for another registration: rescoring a champion takes minutes."""


def version_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to, if it does."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """All versions of a registered model; none where it is not registered."""
    return list(client.search_model_versions(f"name = '{name}'"))


def find_version(client: MlflowClient, name: str, wanted: str) -> ModelVersion:
    """A version by its number or alias.

    Raises:
        HmerError: there is none.
    """
    with registry():
        if not wanted.isdigit():
            found = version_of(client, name, wanted)
        else:
            found = next((v for v in versions(client, name) if str(v.version) == wanted), None)
    if found is None:
        raise HmerError(f"the registry has no {wanted} of {name}: run `dvc repro register`")
    return found


def download(client: MlflowClient, name: str, wanted: str, to: Path) -> Path:
    """The plain recogniser files of a registered version, by number or alias.

    Raises:
        HmerError: there is no such version, or its artifacts are not where the registry says.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    found = find_version(client, name, wanted)
    uri = f"models:/{name}/{found.version}"
    try:
        whole = Path(
            download_artifacts(
                artifact_uri=uri, dst_path=str(to), tracking_uri=os.environ["MLFLOW_TRACKING_URI"]
            )
        )
    except (MlflowException, OSError) as error:
        raise HmerError(f"{name} version {found.version} cannot be fetched: {error}") from error
    return next(path.parent for path in whole.rglob(FILES[0]))


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Nobody else on this machine changes the registered model during the block.

    Raises:
        HmerError: another process does not come to an end.
    """
    uri = os.environ["MLFLOW_TRACKING_URI"]
    key = hashlib.sha256(f"{uri}\n{name}".encode()).hexdigest()[:16]
    with hold(user_folder() / f"registry-{key}.lock", f"a registration of {name}", PATIENCE):
        yield


@contextmanager
def registry() -> Iterator[None]:
    """Turn a refusal of the registry in the block into one line.

    Raises:
        TrackingError: it refused.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise TrackingError(f"the model registry refuses: {first}") from error
