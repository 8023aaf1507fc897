"""The way to a champion: what the gate decides is carried out here, and what a person decides.

The alias `champion` is the one truth about who is champion: it points to one version, so there are
never two. Whoever moves it holds a lock, and looks again at who is champion before moving it, so
that two registrations at once cannot both beat the same rival without meeting each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from pipeline.registry import audit
from pipeline.registry.candidate import Candidate
from pipeline.registry.comparison import EVIDENCE, compare
from pipeline.registry.description import described, version_tags
from pipeline.registry.packaging import log_model
from pipeline.registry.promotion import Comparison, Decision, RegisterConfig, decide
from pipeline.registry.rival import GATE, Rescore, Rival, meet
from pipeline.registry.versions import (
    CHALLENGER,
    CHAMPION,
    locked,
    registry,
    version_of,
    versions,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.tracking.tracker import Tracker

REPORT = "registration"
"""Tag with the whole report of a decision."""


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
            return _reigning(config, candidate, mine)
        while True:
            # Before there is a version: one without a decision must not be left where this fails.
            rival = meet(client, config, candidate, champion, rescore)
            if mine is None:
                mine = _new_version(config, candidate, tracker, root)
            down = _taken_down(client, config.name, candidate)
            done = _decided(config, candidate, int(mine.version), rival, down)
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
        if str(version) not in {str(v.version) for v in versions(client, name)}:
            known = ", ".join(sorted(str(v.version) for v in versions(client, name))) or "none"
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


def _reigning(config: RegisterConfig, candidate: Candidate, champion: ModelVersion) -> Registration:
    """The champion asks again: what made it one stands, also where only the reason is on record."""
    if REPORT in champion.tags:
        return Registration(json.loads(champion.tags[REPORT]))
    told = _decided(config, candidate, int(champion.version), None).told
    return Registration({**told, "reason": champion.tags.get("reason", "champion already")})


def _taken_down(client: MlflowClient, name: str, candidate: Candidate) -> str:
    """Who took the candidate's weights down, when and why; "" where nobody did."""
    weights = {int(v.version): v.tags.get("weights", "") for v in versions(client, name)}
    done = audit.taken_down(audit.trail(client, name), weights).get(candidate.weights)
    if done is None:
        return ""
    return f"by {done.who} (version {done.before}, {done.what} of {done.when[:10]}: {done.why})"


def _decided(
    config: RegisterConfig,
    candidate: Candidate,
    version: int,
    rival: Rival | None,
    taken_down: str = "",
) -> Registration:
    comparison, obstacle = None, ""
    if rival is not None:
        obstacle = rival.obstacle
        if rival.evidence is not None:
            try:
                comparison = compare(candidate.evidence, rival.evidence, config)
            except HmerError as error:
                obstacle = str(error)
    decision, reason = decide(comparison, config, obstacle=obstacle, taken_down=taken_down)
    return Registration(
        {
            "model": config.name,
            "version": version,
            "decision": decision,
            "reason": reason,
            "split": candidate.split,
            "split_reason": candidate.reason,
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
    gain, hidden = found.occluded_gain, found.occluded
    return {
        "n": found.n,
        "gain": round(found.gain.mean, 4),
        "low": round(found.gain.low, 4),
        "high": round(found.gain.high, 4),
        "only_challenger": found.only_challenger,
        "only_champion": found.only_champion,
        "occluded_gain": None if gain is None else round(gain, 4),
        "occluded_low": None if hidden is None else round(hidden.low, 4),
        "occluded_high": None if hidden is None else round(hidden.high, 4),
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
    for found in versions(client, name):
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
