"""The model registry: versions, aliases, and the way to a champion.

A version is a *models-from-code* pyfunc: `serving_model.py`, the part of `hmer` that it needs, and
the weights as safetensors. There is no pickle in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from pipeline.candidate import FILES, Candidate
from pipeline.imports import reach
from pipeline.promotion import Decision, RegisterConfig, Score, decide
from pipeline.tracking import Tracker, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SERVING = Path(__file__).with_name("serving_model.py")
SERVED = "hmer.recognizer"


@dataclass(frozen=True)
class Registration:
    """A decision that has been carried out."""

    config: RegisterConfig
    candidate: Candidate
    decision: Decision
    reason: str
    version: int
    rival: tuple[int, Score] | None

    @property
    def promoted(self) -> bool:
        """Whether the candidate is champion now."""
        return self.decision == "champion"

    def report(self) -> dict[str, Any]:
        """For `reports/registration.json`."""
        champion = None
        if self.rival is not None:
            number, score = self.rival
            champion = {
                "version": number,
                "exprate": score.exprate,
                "same_data": score.data == self.candidate.score.data,
            }
        return {
            "model": self.config.name,
            "version": self.version,
            "decision": self.decision,
            "reason": self.reason,
            "split": self.candidate.split,
            "exprate": self.candidate.score.exprate,
            "champion_before": champion,
            "evaluation_data": self.candidate.score.data,
            "weights": self.candidate.weights,
        }


def register(
    config: RegisterConfig, candidate: Candidate, tracker: Tracker, root: Path
) -> Registration:
    """Make the candidate a version of the registered model, and decide which alias it gets.

    Doing it again changes nothing: a version is known by the digests of its weights and of its
    test data, and the champion keeps the decision that made it one.

    Raises:
        TrackingError: the registry does not answer.
    """
    client = tracker.client
    with _registry():
        champion = version_of(client, config.name, "champion")
        mine = _known(client, config.name, candidate)
        if mine is not None and champion is not None and mine.version == champion.version:
            rival = _recorded_rival(mine)
            decision, reason = "champion", str(mine.tags["reason"])
            return Registration(config, candidate, "champion", reason, int(mine.version), rival)
        rival = None if champion is None else (int(champion.version), _score(champion))
        decision, reason = decide(candidate.score, rival[1] if rival else None, config)
        if mine is None:
            mine = _new_version(config, candidate, tracker, root)
        number = str(mine.version)
        for key, value in _decision_tags(decision, reason, rival).items():
            client.set_model_version_tag(config.name, number, key, value)
        client.set_registered_model_alias(config.name, decision, number)
        challenger = version_of(client, config.name, "challenger")
        if decision == "champion" and challenger is not None and challenger.version == number:
            client.delete_registered_model_alias(config.name, "challenger")
    return Registration(config, candidate, decision, reason, int(number), rival)


def version_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to, if it does."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def download(client: MlflowClient, name: str, alias: str, to: Path) -> Path:
    """The plain recogniser files of a registered version.

    Raises:
        HmerError: there is no such version, or its artifacts are not where the registry says.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with _registry():
        found = version_of(client, name, alias)
    if found is None:
        raise HmerError(f"the registry has no {alias} of {name}: run `dvc repro register`")
    try:
        whole = Path(
            download_artifacts(artifact_uri=f"models:/{name}/{found.version}", dst_path=str(to))
        )
    except (MlflowException, OSError) as error:
        raise HmerError(f"{name} version {found.version} cannot be fetched: {error}") from error
    return next(path.parent for path in whole.rglob(FILES[0]))


def requirements(root: Path) -> list[str]:
    """Pinned distributions that the served code imports, as installed here."""
    needed = reach(SERVED, root).foreign | {"mlflow", "pandas"}
    known = packages_distributions()
    # Several distributions may share a module (mlflow, mlflow-skinny): its namesake is meant.
    names = sorted(
        {
            module if module in known[module] else known[module][0]
            for module in needed
            if module in known
        },
        key=str.lower,
    )
    return [f"{name}=={version(name)}" for name in names]


@contextmanager
def served_code(root: Path) -> Iterator[Path]:
    """A copy of the package `hmer` with only the modules that serving imports."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(reach(SERVED, root).files):
            target = Path(folder) / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, target)
        yield Path(folder) / "hmer"


def input_example(candidate: Candidate) -> Any:
    """The first image of the test set, as a request would send it."""
    import pandas as pd
    import pyarrow.parquet as pq

    first = pq.ParquetFile(candidate.test).read_row_group(0, columns=["image"])
    return pd.DataFrame({"image": [first["image"][0].as_py()]})


def _new_version(
    config: RegisterConfig, candidate: Candidate, tracker: Tracker, root: Path
) -> ModelVersion:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "latex"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(DataType.string, "error"),
            ]
        ),
    )
    with (
        served_code(root) as code,
        _only(candidate.model) as model,
        mlflow.start_run(run_id=tracker.run_id),
    ):
        info = mlflow.pyfunc.log_model(
            name="recogniser",
            python_model=str(SERVING),
            artifacts={"model": str(model)},
            code_paths=[str(code)],
            pip_requirements=requirements(root),
            signature=signature,
            input_example=input_example(candidate),
        )
        return mlflow.register_model(info.model_uri, config.name, tags=_tags(candidate))


@contextmanager
def _only(model: Path) -> Iterator[Path]:
    """The recogniser's own files, without curves and metrics."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "recogniser"
        copy.mkdir()
        for name in FILES:
            shutil.copyfile(model / name, copy / name)
        yield copy


def _known(client: MlflowClient, name: str, candidate: Candidate) -> ModelVersion | None:
    wanted = _tags(candidate)
    for found in client.search_model_versions(f"name = '{name}'"):
        if all(found.tags.get(key) == value for key, value in wanted.items()):
            return found
    return None


def _tags(candidate: Candidate) -> dict[str, str]:
    return {
        "weights": candidate.weights,
        "evaluation_data": candidate.score.data,
        "split": candidate.split,
        "exprate": repr(candidate.score.exprate),
    }


def _decision_tags(
    decision: Decision, reason: str, rival: tuple[int, Score] | None
) -> dict[str, str]:
    tags = {"decision": decision, "reason": reason}
    if rival is not None:
        number, score = rival
        tags |= {
            "rival": str(number),
            "rival.exprate": repr(score.exprate),
            "rival.data": score.data,
        }
    return tags


def _recorded_rival(found: ModelVersion) -> tuple[int, Score] | None:
    tags = found.tags
    if "rival" not in tags:
        return None
    return int(tags["rival"]), Score(float(tags["rival.exprate"]), tags["rival.data"])


def _score(found: ModelVersion) -> Score:
    """What a version was judged by; one registered by hand has no score and beats nobody."""
    return Score(float(found.tags.get("exprate", 0.0)), found.tags.get("evaluation_data", ""))


@contextmanager
def _registry() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise TrackingError(f"the model registry refuses: {first}") from error
