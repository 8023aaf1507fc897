"""The model registry: versions, aliases, audit trail, and the champion as plain files."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hmer.errors import HmerError
from hmer.files import atomic_folder
from pipeline.env import lasting_root, user_folder
from pipeline.process import hold
from pipeline.tracking.provenance import git, run_link
from pipeline.tracking.store import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


FILES = ("model.safetensors", "model.json")
"""What a recogniser consists of."""
CHAMPION, CHALLENGER = "champion", "challenger"
PATIENCE = 900.0
"""Seconds to wait for another registration: rescoring a champion takes minutes."""


def version_of(client: MlflowClient, name: str, wanted: str) -> ModelVersion | None:
    """The version of a number, or that an alias points to, if there is one."""
    from mlflow.exceptions import MlflowException

    get = client.get_model_version if wanted.isdigit() else client.get_model_version_by_alias
    try:
        return get(name, wanted)
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
        found = version_of(client, name, wanted)
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


ORIGIN = "version.json"
"""Artifact of a version's run: what the version was made from."""
DECISION = "registration.json"
"""Artifact beside it with the newest decision about the version."""


def on_record(client: MlflowClient, version: ModelVersion, name: str) -> dict[str, Any]:
    """What the run of a version keeps in a JSON file (`ORIGIN`, `DECISION`); nothing without."""
    run_id = str(version.run_id)
    if name not in {file.path for file in client.list_artifacts(run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(client.download_artifacts(run_id, name, folder))
        return dict(json.loads(file.read_text(encoding="utf-8")))


AUDIT = "audit"
"""Tag of a registered model: the run with its trail."""
EVENTS, TABLE = "events", "audit.csv"
"""Artifacts of that run: a file for each event, so that nobody overwrites another's, and all of
them in one table."""
SHOWN = 20
"""Events in the description of a registered model."""
BY_GATE = "gate"
"""Who decides where no person does."""

Act = Literal["promote", "register", "refuse", "rollback"]
ACTS: dict[str, Act] = {"champion": "promote", "challenger": "register", "refused": "refuse"}
"""What each decision of the gate is called in the trail."""


@dataclass(frozen=True)
class Event:
    """One act on one version; `before` and `champion` are who was champion before and after it."""

    what: Act
    version: int
    before: int | None
    champion: int | None
    who: str
    why: str
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    @property
    def _change(self) -> str:
        return f"{self.before or 'none'} -> {self.champion or 'none'}"

    def row(self) -> str:
        """A row of a Markdown table."""
        why = " ".join(self.why.split()).replace("|", "\\|")
        cells = (self.when[:16], self.what, self.version, self._change, self.who, why)
        return f"| {' | '.join(map(str, cells))} |"

    def line(self) -> str:
        """For a person at a terminal."""
        change = self._change
        return f"{self.when}  {self.what:<8} {self.version:>4}  {change:<12} {self.who}: {self.why}"


def record(client: MlflowClient, name: str, done: Event) -> None:
    """Append an event to the trail; the newest ones are the registered model's description."""
    import pandas as pd

    run = client.get_registered_model(name).tags.get(AUDIT)
    if run is None:
        acted = str(client.get_model_version(name, str(done.version)).run_id)
        experiment = client.get_run(acted).info.experiment_id
        tags = {"stage": AUDIT}
        run = client.create_run(experiment, tags=tags, run_name=f"audit of {name}").info.run_id
        client.set_terminated(run)
    file = f"{EVENTS}/{done.when[:23]}-{secrets.token_hex(2)}.json".replace(":", "")
    client.log_dict(run, asdict(done), file)
    client.set_registered_model_tag(name, AUDIT, run)
    events = trail(client, name)
    client.log_text(run, pd.DataFrame(map(asdict, events)).to_csv(index=False), TABLE)
    head = ["| when | what | version | champion | who | why |", "|---|---|---|---|---|---|"]
    rows = [one.row() for one in reversed(events[-SHOWN:])]
    experiment = client.get_run(run).info.experiment_id
    whole = f"\nAll of it: {run_link(run, experiment, TABLE)}"
    client.update_registered_model(name, "\n".join([*head, *rows, whole]))


def trail(client: MlflowClient, name: str) -> list[Event]:
    """All events, oldest first; none where the model is not registered.

    Raises:
        TrackingError: the registry refuses.
    """
    with registry(), tempfile.TemporaryDirectory() as folder:
        found = client.search_registered_models(f"name = '{name}'")
        run = found[0].tags.get(AUDIT) if found else None
        files = Path(client.download_artifacts(run, EVENTS, folder)).glob("*.json") if run else ()
        events = [Event(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return sorted(events, key=lambda event: event.when)


def champion_history(events: list[Event]) -> list[int]:
    """Champions that a rollback can go back to, the present one last."""
    stack: list[int] = []
    for done in events:
        if done.champion is None or done.champion == done.before:
            continue
        if done.what == "rollback":
            while stack and stack[-1] != done.champion:
                stack.pop()
        if not stack or stack[-1] != done.champion:
            stack.append(done.champion)
    return stack


def taken_down(events: list[Event], weights: Mapping[int, str]) -> dict[str, Event]:
    """Weights that a person has taken down and nobody has made champion by hand since.

    By weights, not by version: the same weights become another version where the data change.

    Args:
        events: the trail, oldest first.
        weights: digest of each version's weights.
    """
    down: dict[str, Event] = {}
    for done in events:
        by_hand = done.what == "rollback" or (done.what == "promote" and done.who != BY_GATE)
        if not by_hand or done.champion == done.before:
            continue
        if done.before is not None and done.before in weights:
            down[weights[done.before]] = done
        if done.champion is not None and done.champion in weights:
            down.pop(weights[done.champion], None)
    return down


def person(root: Path) -> str:
    """Who sits at the keyboard: git's name for them, or the machine's."""
    name, mail = git(root, "config", "user.name"), git(root, "config", "user.email")
    if name:
        return f"{name} <{mail}>" if mail else name
    return f"{getpass.getuser()}@{socket.gethostname()}"


FOLDER = "data/models/champion"


def export(model: Path, root: Path) -> Path:
    """Put the recogniser in the folder `model` in place of the champion's files."""
    target = lasting_root(root) / FOLDER
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as out:
        for name in FILES:
            shutil.copyfile(model / name, out / name)
    return target


def fetch(client: MlflowClient, name: str, root: Path) -> Path:
    """Get the champion from the registry.

    Raises:
        HmerError: there is none, or the registry cannot hand it out.
    """
    with tempfile.TemporaryDirectory() as folder:
        return export(download(client, name, "champion", Path(folder)), root)
