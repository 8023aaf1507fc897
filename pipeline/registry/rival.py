"""The champion that a candidate meets: what it did on the candidate's test set."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hmer.errors import HmerError
from pipeline.registry.candidate import Candidate
from pipeline.registry.comparison import Evidence, read_evidence
from pipeline.registry.promotion import RegisterConfig
from pipeline.registry.versions import download

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

GATE = "gate"
"""Folder of a version's run with the evidence that later challengers are compared with."""

Rescore = Callable[[Path, Candidate, Path], Path]
"""Scores the model in a folder on the test set of a candidate; gives the report folder."""


@dataclass(frozen=True)
class Rival:
    """The champion that a candidate meets, and what it did on the candidate's test set."""

    version: int
    evidence: Evidence | None
    rescored: bool
    same_data: bool
    obstacle: str = ""


def meet(
    client: MlflowClient,
    config: RegisterConfig,
    candidate: Candidate,
    champion: ModelVersion | None,
    rescore: Rescore | None,
) -> Rival | None:
    """The champion and what it did on our test set: on record, or scored anew."""
    if champion is None:
        return None
    number = int(champion.version)
    same = champion.tags.get("evaluation_data") == candidate.score.data
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        obstacle = "the champion was scored on other data"
        if same:
            try:
                return Rival(number, _kept_evidence(client, champion, work), False, same)
            except HmerError as error:
                obstacle = str(error)
        if rescore is None or not config.rescore:
            return Rival(number, None, False, same, obstacle)
        try:
            model = download(client, config.name, str(number), work / "model")
            (work / "score").mkdir()
            evidence = read_evidence(rescore(model, candidate, work / "score"))
            return Rival(number, evidence, True, same)
        except HmerError as error:
            return Rival(number, None, False, same, f"the champion cannot be scored: {error}")


def _kept_evidence(client: MlflowClient, version: ModelVersion, to: Path) -> Evidence:
    from mlflow.exceptions import MlflowException

    try:
        found = client.download_artifacts(str(version.run_id), GATE, str(to))
    except (MlflowException, OSError) as error:
        raise HmerError(f"champion {version.version} has left no predictions") from error
    return read_evidence(Path(found))
