"""Registration: a candidate meets the champion, and the decision is carried out.

The alias `champion` is the one truth about who is champion: it points to one version, so there are
never two. Whoever moves it holds a lock, and looks again at who is champion before moving it, so
that two registrations at once cannot both beat the same rival without meeting each other.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from hmer.evaluation.comparison import Comparison
from hmer.evaluation.evaluate import EvaluateConfig, evaluate
from hmer.evaluation.metrics import METRICS
from hmer.evaluation.prediction import OCCLUSION, PLAIN, Trial, read_trials
from hmer.files import content_digest
from hmer.ingest.sources.base import held_out
from pipeline.dvcfile import read_report, scored_sets
from pipeline.registry.decision import (
    EVIDENCE,
    RegisterConfig,
    compare,
    conditions,
    decide,
    exprates,
)
from pipeline.registry.packaging import log_model
from pipeline.registry.versions import (
    ACTS,
    BY_GATE,
    CHALLENGER,
    CHAMPION,
    DECISION,
    FILES,
    ORIGIN,
    Act,
    Event,
    download,
    locked,
    on_record,
    record,
    registry,
    taken_down,
    trail,
    version_of,
    versions,
)
from pipeline.rendering import rendered
from pipeline.tracking.provenance import headline, origin, producers, raw_data, run_link

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.tracking.tracker import Tracker


FOLDER = "data/models/finetune"
"""Where the pipeline leaves the recogniser."""
STAGE = "finetune"
"""The stage that does."""
SHOWN = ("exprate", "exprate_low", "exprate_high", "le1", "structure_rate", "cer", "ece", "n")
"""Metrics on the page of a version, and on its run."""
AUTO = {
    "dev": "the development set",
    "val": "the validation split, for there is no development set",
    "test": "a test set, for there is nothing else: its score is selected on from now on",
}
"""How the names of splits begin, in the order in which `auto` takes them, and why."""


@dataclass(frozen=True)
class Candidate:
    """A trained recogniser with its score on the split that decides.

    `reason` says why it is this split; `test` is its file, `data` the digest of that, `exprate` the
    score on it (percent). `weights` is a digest over all of the recogniser's files, `sha256` that
    of the weights alone. `report` is the folder with the evaluation on that set, `scores` the
    metrics that people are shown of every set (all of them are in the report), `decoding` the
    search by which they were found.
    """

    model: Path
    weights: str
    sha256: str
    split: str
    reason: str
    test: Path
    data: str
    exprate: float
    scores: dict[str, dict[str, float]]
    report: Path
    evidence: Sequence[Trial]
    decoding: dict[str, Any]

    @property
    def interval(self) -> list[float] | None:
        """Bootstrap interval of the ExpRate, percent; None where it was not measured."""
        ends = [self.shown.get(f"exprate_{end}") for end in ("low", "high")]
        return None if None in ends else [end for end in ends if end is not None]

    @property
    def shown(self) -> dict[str, float]:
        """Those of the set that decides."""
        return self.scores[self.split]


def candidate(
    model: Path,
    dataset: Path,
    evaluation: Path,
    split: str,
    decoding: Mapping[str, Any] | None = None,
) -> Candidate:
    """Digests and numbers of the recogniser in the folder `model`.

    Args:
        model: of the recogniser.
        dataset: folder with the splits.
        evaluation: folder that the stage `evaluate` has written.
        split: the one that decides, or `auto`.
        decoding: how `evaluate` has searched; by default as `DecodingConfig` says.

    Raises:
        HmerError: no such split, or no score for it.
    """
    split, reason = deciding_split(dataset, split)
    test = dataset / f"{split}.parquet"
    metrics = evaluation / "metrics.json"
    sets = scored_sets(read_report(metrics))
    if split not in sets:
        raise HmerError(f"{metrics.name} has no ExpRate of {split}: run `dvc repro evaluate`")
    digests = [content_digest(model / name) for name in FILES]
    report = evaluation / split
    if not (report / EVIDENCE[0]).is_file():
        raise HmerError(f"{report / EVIDENCE[0]} is missing: run `dvc repro evaluate`")
    return Candidate(
        model=model,
        weights=hashlib.sha256(":".join(digests).encode()).hexdigest(),
        sha256=digests[0],
        split=split,
        reason=reason,
        test=test,
        data=content_digest(test),
        exprate=float(sets[split]["exprate"]),
        scores={
            name: {key: float(row[key]) for key in SHOWN if key in row}
            for name, row in sets.items()
        },
        report=report,
        evidence=read_trials(report),
        decoding=dict(decoding or {}),
    )


def deciding_split(dataset: Path, wanted: str) -> tuple[str, str]:
    """The split that promotions are decided on, and why it is this one.

    A test set that decides is selected on, and its score is then no estimate any more. `auto`
    therefore takes a development set where there is one, else the validation split.

    Raises:
        HmerError: no such split, or none that `auto` can choose.
    """
    held = [name for name in held_out(dataset) if (dataset / f"{name}.parquet").is_file()]
    there = ", ".join(held) or "none"
    if wanted != "auto":
        if wanted not in held:
            raise HmerError(f"register.split = {wanted!r}: no such split; there are: {there}")
        return wanted, "register.split names it"
    for kind, reason in AUTO.items():
        found = [name for name in held if name.startswith(kind)]
        if len(found) > 1:
            raise HmerError(
                f"register.split = 'auto' finds several: {', '.join(found)}; name one of them"
            )
        if found:
            return found[0], reason
    raise HmerError("register.split = 'auto' finds no split to compare on; run `dvc repro ingest`")


def rescore(config: EvaluateConfig, model: Path, candidate: Candidate, out: Path) -> Path:
    """Evaluate the recogniser in the folder `model` as `candidate` was evaluated, into `out`.

    Returns:
        The report folder of the split that decides.

    Raises:
        HmerError: this code cannot load the model, or the data set cannot be read.
    """
    dataset, split = candidate.test.parent, candidate.split
    evaluate(config.for_comparison(), model, dataset, out, names=[split])
    return out / split


GATE = "gate"
"""Folder of a version's run with the evidence that later challengers are compared with."""

Rescore = Callable[[Path, Candidate, Path], Path]
"""Scores the model in a folder on the test set of a candidate; gives the report folder."""


@dataclass(frozen=True)
class Rival:
    """The champion that a candidate meets, and what it did on the candidate's test set."""

    version: int
    evidence: Sequence[Trial] | None
    rescored: bool
    same_data: bool
    obstacle: str = ""


def champion_evidence(
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
    same = champion.tags.get("evaluation_data") == candidate.data
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        obstacle = "the champion was scored on other data"
        if same:
            try:
                kept = _kept_evidence(client, champion, work)
            except HmerError as error:
                obstacle = str(error)
            else:
                wanted = conditions(candidate.evidence, OCCLUSION)
                if not wanted or conditions(kept, OCCLUSION) == wanted:
                    return Rival(number, kept, False, same)
                obstacle = "the champion was read with other ink hidden"
        if rescore is None or not config.rescore:
            return Rival(number, None, False, same, obstacle)
        try:
            model = download(client, config.name, str(number), work / "model")
            (work / "score").mkdir()
            evidence = read_trials(rescore(model, candidate, work / "score"))
            return Rival(number, evidence, True, same)
        except HmerError as error:
            return Rival(number, None, False, same, f"the champion cannot be scored: {error}")


def _kept_evidence(client: MlflowClient, version: ModelVersion, to: Path) -> list[Trial]:
    from mlflow.exceptions import MlflowException

    try:
        found = client.download_artifacts(str(version.run_id), GATE, str(to))
    except (MlflowException, OSError) as error:
        raise HmerError(f"champion {version.version} has left no predictions") from error
    return read_trials(Path(found))


RUN = "run."
"""Prefix of the keys that name the run of a stage."""


def made_from(candidate: Candidate, tracker: Tracker, root: Path) -> dict[str, str]:
    """Where a version comes from: everything that `python -m pipeline reproduce` needs.

    With the runs of the stages behind it, under `run.<stage>`. The parameters of the version are
    those its weights were made with: its own run has a copy.
    """
    runs = producers(tracker.client, tracker.experiment, root)
    made = {f"{RUN}{stage}": run.info.run_id for stage, run in runs.items()}
    made |= {f"{RUN}{tracker.name}": tracker.run_id, "sha256": candidate.sha256}
    made |= {"weights.path": f"{FOLDER}/{FILES[0]}", "weights.stage": STAGE}
    made |= origin(root)
    if found := raw_data(root):
        made |= {"raw.path": found[0], "raw.digest": found[1]}
    return made


Registration = dict[str, Any]
"""A decision that has been carried out: what `reports/registration.json` has, no time, no path."""


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

    `rescore` scores a champion anew where the test data have changed.

    Raises:
        TrackingError: the registry does not answer.
        HmerError: another registration does not come to an end.
    """
    client = tracker.client
    with registry(), locked(config.name):
        champion = version_of(client, config.name, CHAMPION)
        mine = _known(client, config.name, candidate)
        same = mine and champion and mine.version == champion.version
        if mine and same and (earlier := on_record(client, mine, DECISION)):
            return earlier
        while True:
            # Before there is a version: one without a decision must not be left where this fails.
            rival = champion_evidence(client, config, candidate, champion, rescore)
            if mine is None:
                mine = _new_version(config, candidate, tracker, root)
            down = _taken_down(client, config.name, candidate)
            done = _decided(config, candidate, int(mine.version), rival, down)
            now = version_of(client, config.name, CHAMPION)
            if (now and now.version) == (champion and champion.version):
                break
            champion = now  # from another machine, where our lock is not seen: meet that one
        _carry_out(client, config.name, done, champion)
    tracker.tags({key: str(done[key]) for key in ("decision", "version")})
    return done


def make_champion(
    client: MlflowClient, name: str, version: int, what: Act, who: str, why: str
) -> None:
    """Make a version champion by hand.

    Raises:
        HmerError: there is no such version, or it is champion already.
        TrackingError: the registry does not answer.
    """
    with registry(), locked(name):
        known = sorted(str(found.version) for found in versions(client, name))
        if str(version) not in known:
            there = ", ".join(known) or "none"
            raise HmerError(f"{name} has no version {version}; there are: {there}")
        before = version_of(client, name, CHAMPION)
        if before is not None and int(before.version) == version:
            raise HmerError(f"{name} version {version} is champion already")
        client.set_registered_model_alias(name, CHAMPION, str(version))
        _no_challenger(client, name, str(version))
        old = None if before is None else int(before.version)
        record(client, name, Event(what, version, old, version, who, why))


def _taken_down(client: MlflowClient, name: str, candidate: Candidate) -> str:
    """Who took the candidate's weights down, when and why; "" where nobody did."""
    weights = {int(v.version): v.tags.get("weights", "") for v in versions(client, name)}
    done = taken_down(trail(client, name), weights).get(candidate.weights)
    if done is None:
        return ""
    return f"by {done.who} (version {done.before}, {done.what} of {done.when[:10]}: {done.why})"


def _decided(
    config: RegisterConfig,
    candidate: Candidate,
    version: int,
    rival: Rival | None,
    taken_down: str,
) -> Registration:
    comparison, obstacle = None, rival.obstacle if rival else ""
    if rival and rival.evidence:
        try:
            comparison = compare(candidate.evidence, rival.evidence, config)
        except HmerError as error:
            obstacle = str(error)
    decision, reason = decide(comparison, config, obstacle=obstacle, taken_down=taken_down)
    return {
        "model": config.name,
        "version": version,
        "decision": decision,
        "reason": reason,
        "split": candidate.split,
        "split_reason": candidate.reason,
        "exprate": candidate.exprate,
        "interval": candidate.interval,
        "champion_before": rival and _told_rival(rival),
        "comparison": comparison and _told_comparison(comparison),
        "occluded": _occluded(candidate.evidence),
        "thresholds": {
            key: getattr(config, key)
            for key in ("level", "resamples", "margin", "worse", "worse_occluded")
        },
        "evaluation_data": candidate.data,
        "weights": candidate.weights,
    }


def _told_rival(rival: Rival) -> dict[str, Any]:
    told = {key: getattr(rival, key) for key in ("version", "same_data", "rescored")}
    if rival.evidence is not None:
        told["exprate"] = sum(rate for _, rate in exprates(rival.evidence, PLAIN))
        told["occluded"] = _occluded(rival.evidence)
    return told


def _occluded(evidence: Sequence[Trial]) -> list[list[float]]:
    return [pair for pair in exprates(evidence, OCCLUSION) if pair[0] > 0]


def _told_comparison(found: Comparison) -> dict[str, Any]:
    whole, hidden = found.whole, found.hidden
    assert whole is not None  # `compare` has seen to it
    numbers = {
        "n": whole.n,
        "gain": whole.exprate.mean,
        "low": whole.exprate.low,
        "high": whole.exprate.high,
        "only_challenger": found.won,
        "only_champion": found.lost,
        "occluded_gain": hidden and hidden.mean,
        "occluded_low": hidden and hidden.low,
        "occluded_high": hidden and hidden.high,
    }
    return {key: None if value is None else round(value, 4) for key, value in numbers.items()}


def _carry_out(
    client: MlflowClient, name: str, done: Registration, champion: ModelVersion | None
) -> None:
    number, decision, reason = str(done["version"]), done["decision"], str(done["reason"])
    version = client.get_model_version(name, number)
    client.log_dict(str(version.run_id), done, DECISION)
    # The first paragraph of a description is the decision: the version may be decided on anew.
    body = str(version.description or "").partition("\n\n")[2]
    client.update_model_version(name, number, f"{headline(done)}\n\n{body}")
    client.set_model_version_tag(name, number, "decision", decision)
    if decision != "refused":
        client.set_registered_model_alias(name, decision, number)
    if decision != CHALLENGER:
        _no_challenger(client, name, number)
    before = None if champion is None else int(champion.version)
    after = done["version"] if decision == CHAMPION else before
    what = ACTS[decision]
    record(client, name, Event(what, done["version"], before, after, BY_GATE, reason))


def _no_challenger(client: MlflowClient, name: str, number: str) -> None:
    """A version that is something else by now is no challenger any more."""
    challenger = version_of(client, name, CHALLENGER)
    if challenger is not None and str(challenger.version) == number:
        client.delete_registered_model_alias(name, CHALLENGER)


def _new_version(
    config: RegisterConfig, candidate: Candidate, tracker: Tracker, root: Path
) -> ModelVersion:
    import mlflow

    info = log_model(candidate, tracker, root)
    for name in EVIDENCE:
        if (candidate.report / name).is_file():
            tracker.artifact(candidate.report / name, GATE)
    made = made_from(candidate, tracker, root)
    tracker.client.log_dict(tracker.run_id, made, ORIGIN)
    version = mlflow.register_model(
        info.model_uri, config.name, tags={"decision": "none yet", **_identity(candidate)}
    )
    runs = {
        key.removeprefix(RUN): run_link(value, tracker.experiment)
        for key, value in made.items()
        if key.startswith(RUN)
    }
    text = rendered(
        "version.md.j2", candidate=candidate, name=config.name, version=version.version,
        metrics=METRICS, runs=runs, made=made,
    )  # fmt: skip
    tracker.client.update_model_version(config.name, str(version.version), text)
    return version


def _known(client: MlflowClient, name: str, candidate: Candidate) -> ModelVersion | None:
    wanted = _identity(candidate).items()
    return next((v for v in versions(client, name) if wanted <= v.tags.items()), None)


def _identity(candidate: Candidate) -> dict[str, str]:
    """Tags by which a version is known again."""
    return {
        "exprate": repr(candidate.exprate),
        "split": candidate.split,
        "evaluation_data": candidate.data,
        "weights": candidate.weights,
    }
