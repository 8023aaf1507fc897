"""The model registry: versions, aliases, and the way to a champion.

The alias `champion` is the one truth about who is champion: it points to one version, so there are
never two. Whoever moves it holds a lock, and looks again at who is champion before moving it, so
that two registrations at once cannot both beat the same rival without meeting each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from pipeline import audit
from pipeline.candidate import FILES, Candidate
from pipeline.comparison import EVIDENCE, Evidence, compare, read_evidence
from pipeline.description import described, version_tags
from pipeline.locks import hold
from pipeline.packaging import log_model
from pipeline.promotion import Comparison, Decision, RegisterConfig, decide
from pipeline.store import TrackingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.tracking import Tracker

    Rescore = Callable[[Path, Candidate, Path], Path]

CHAMPION, CHALLENGER = "champion", "challenger"
GATE = "gate"
"""Folder of a version's run with the evidence that later challengers are compared with."""
REPORT = "registration"
"""Tag with the whole report of a decision."""
PATIENCE = 900.0
"""Seconds to wait for another registration: rescoring a champion takes minutes."""


@dataclass(frozen=True)
class Registration:
    """A decision that has been carried out, as `reports/registration.json` tells it."""

    told: dict[str, Any]

    @property
    def version(self) -> int:
        """Of the registered model."""
        return int(self.told["version"])

    @property
    def decision(self) -> Decision:
        """What became of the version."""
        decision: Decision = self.told["decision"]
        return decision

    @property
    def promoted(self) -> bool:
        """Whether the candidate became champion."""
        return self.decision == "champion"

    def report(self) -> dict[str, Any]:
        """For `reports/registration.json`: numbers and words, no time and no path."""
        return self.told


@dataclass(frozen=True)
class Rival:
    """The champion that a candidate meets, and what it did on the candidate's test set."""

    version: int
    evidence: Evidence | None
    rescored: bool
    same_data: bool
    obstacle: str = ""


def register(
    config: RegisterConfig,
    candidate: Candidate,
    tracker: Tracker,
    root: Path,
    rescore: Rescore | None = None,
) -> Registration:
    """Make the candidate a version of the registered model, and decide which alias it gets.

    Doing it again changes nothing: a version is known by the digests of its weights and of its
    test data, and the champion keeps the decision that made it one.

    Args:
        config: thresholds.
        candidate: who asks.
        tracker: the run that the version belongs to.
        root: the project.
        rescore: scores a champion anew where the test data have changed.

    Raises:
        TrackingError: the registry does not answer.
        HmerError: another registration does not come to an end.
    """
    client = tracker.client
    with registry(), locked(config.name):
        champion = version_of(client, config.name, CHAMPION)
        mine = _known(client, config.name, candidate)
        if mine is not None and champion is not None and mine.version == champion.version:
            if REPORT in mine.tags:
                return Registration(json.loads(mine.tags[REPORT]))
        if mine is None:
            mine = _new_version(config, candidate, tracker, root)
        while True:
            rival = _rival(client, config, candidate, champion, rescore)
            done = _decided(config, candidate, int(mine.version), rival)
            now = version_of(client, config.name, CHAMPION)
            if (now and now.version) == (champion and champion.version):
                break
            champion = now  # from another machine, where our lock is not seen: meet that one
        _carry_out(client, config.name, done, champion)
    tracker.tags({f"gate.{key}": str(done.told[key]) for key in ("decision", "reason", "version")})
    return done


def crown(
    client: MlflowClient, name: str, version: int, what: audit.Act, who: str, why: str
) -> None:
    """Make a version champion by hand.

    Raises:
        HmerError: there is no such version, or it is champion already.
        TrackingError: the registry does not answer.
    """
    with registry(), locked(name):
        if str(version) not in {str(v.version) for v in _versions(client, name)}:
            known = ", ".join(sorted(str(v.version) for v in _versions(client, name))) or "none"
            raise HmerError(f"{name} has no version {version}; there are: {known}")
        before = version_of(client, name, CHAMPION)
        if before is not None and int(before.version) == version:
            raise HmerError(f"{name} version {version} is champion already")
        client.set_registered_model_alias(name, CHAMPION, str(version))
        challenger = version_of(client, name, CHALLENGER)
        if challenger is not None and int(challenger.version) == version:
            client.delete_registered_model_alias(name, CHALLENGER)
        old = None if before is None else int(before.version)
        audit.record(client, name, audit.event(what, version, old, version, who, why))


def version_of(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to, if it does."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def find_version(client: MlflowClient, name: str, wanted: str) -> ModelVersion:
    """A version by its number or alias.

    Raises:
        HmerError: there is none.
    """
    with registry():
        if not wanted.isdigit():
            found = version_of(client, name, wanted)
        else:
            found = next((v for v in _versions(client, name) if str(v.version) == wanted), None)
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
    folder = Path(tempfile.gettempdir()) / f"hmer-{os.getuid()}"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            lock = hold(folder / f"registry-{key}.lock", f"a registration of {name}")
            lock.__enter__()
            break
        except HmerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


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


def _rival(
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
        try:
            if same:
                return Rival(number, _kept_evidence(client, champion, work), False, same)
            if rescore is None or not config.rescore:
                return Rival(number, None, False, same, "the champion was scored on other data")
            model = download(client, config.name, str(number), work / "model")
            (work / "score").mkdir()
            return Rival(
                number, read_evidence(rescore(model, candidate, work / "score")), True, same
            )
        except HmerError as error:
            return Rival(number, None, False, same, f"the champion: {error}")


def _kept_evidence(client: MlflowClient, version: ModelVersion, to: Path) -> Evidence:
    from mlflow.exceptions import MlflowException

    try:
        found = client.download_artifacts(str(version.run_id), GATE, str(to))
    except (MlflowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise HmerError(f"version {version.version} has left no predictions: {first}") from None
    return read_evidence(Path(found))


def _decided(
    config: RegisterConfig, candidate: Candidate, version: int, rival: Rival | None
) -> Registration:
    comparison, obstacle = None, ""
    if rival is not None:
        obstacle = rival.obstacle
        if rival.evidence is not None:
            try:
                comparison = compare(candidate.evidence, rival.evidence, config)
            except HmerError as error:
                obstacle = str(error)
    decision, reason = decide(comparison, config, obstacle=obstacle)
    return Registration(
        {
            "model": config.name,
            "version": version,
            "decision": decision,
            "reason": reason,
            "split": candidate.split,
            "exprate": candidate.score.exprate,
            "champion_before": _told_rival(rival),
            "comparison": _told_comparison(comparison),
            "occluded": [list(pair) for pair in candidate.evidence.occluded],
            "thresholds": {
                key: getattr(config, key)
                for key in ("level", "resamples", "margin", "worse", "worse_occluded")
            },
            "evaluation_data": candidate.score.data,
            "weights": candidate.weights,
        }
    )


def _told_rival(rival: Rival | None) -> dict[str, Any] | None:
    if rival is None:
        return None
    told: dict[str, Any] = {
        "version": rival.version,
        "same_data": rival.same_data,
        "rescored": rival.rescored,
    }
    if rival.evidence is not None:
        correct = list(rival.evidence.correct.values())
        told["exprate"] = round(100 * sum(correct) / len(correct), 4) if correct else 0.0
        told["occluded"] = [list(pair) for pair in rival.evidence.occluded]
    return told


def _told_comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    gain = found.occluded_gain
    return {
        "n": found.n,
        "gain": round(found.gain.mean, 4),
        "low": round(found.gain.low, 4),
        "high": round(found.gain.high, 4),
        "only_challenger": found.only_challenger,
        "only_champion": found.only_champion,
        "occluded_gain": None if gain is None else round(gain, 4),
    }


def _carry_out(
    client: MlflowClient, name: str, done: Registration, champion: ModelVersion | None
) -> None:
    number, decision = str(done.version), done.decision
    for key in ("decision", "reason"):
        client.set_model_version_tag(name, number, key, str(done.told[key]))
    client.set_model_version_tag(name, number, REPORT, json.dumps(done.told))
    if decision != "refused":
        client.set_registered_model_alias(name, decision, number)
    challenger = version_of(client, name, CHALLENGER)
    if decision != CHALLENGER and challenger is not None and challenger.version == number:
        client.delete_registered_model_alias(name, CHALLENGER)
    before = None if champion is None else int(champion.version)
    after = done.version if done.promoted else before
    acts: dict[str, audit.Act] = {CHAMPION: "promote", "refused": "refuse"}
    what = acts.get(decision, "register")
    why = str(done.told["reason"])
    audit.record(client, name, audit.event(what, done.version, before, after, audit.GATE, why))


def _new_version(
    config: RegisterConfig, candidate: Candidate, tracker: Tracker, root: Path
) -> ModelVersion:
    import mlflow

    info = log_model(candidate, tracker, root)
    for name in EVIDENCE:
        if (candidate.report / name).is_file():
            tracker.artifact(candidate.report / name, GATE)
    tags = {**_tags(candidate), **version_tags(candidate, tracker, root)}
    made = mlflow.register_model(info.model_uri, config.name, tags=tags)
    text = described(candidate, config.name, int(made.version), tags, tracker.experiment)
    tracker.client.update_model_version(config.name, str(made.version), text)
    return made


def _known(client: MlflowClient, name: str, candidate: Candidate) -> ModelVersion | None:
    wanted = _tags(candidate)
    for found in _versions(client, name):
        if all(found.tags.get(key) == value for key, value in wanted.items()):
            return found
    return None


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return list(client.search_model_versions(f"name = '{name}'"))


def _tags(candidate: Candidate) -> dict[str, str]:
    return {
        "weights": candidate.weights,
        "evaluation_data": candidate.score.data,
        "split": candidate.split,
        "exprate": repr(candidate.score.exprate),
    }
