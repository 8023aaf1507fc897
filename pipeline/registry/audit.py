"""Who made which version champion, when and why: a trail that only grows.

It is kept with the registry, as tags of the registered model, one per event: it is there for
everyone who shares the registry, in the user interface too, and a clone does not lose it.
"""

from __future__ import annotations

import getpass
import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.tracking.provenance import git

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "audit."
GATE = "gate"
"""Who decides where no person does."""

Act = Literal["promote", "register", "refuse", "rollback"]


@dataclass(frozen=True)
class Event:
    """One act on one version; `champion` and `before` are who was champion after and before it."""

    when: str
    who: str
    what: Act
    version: int
    before: int | None
    champion: int | None
    why: str

    def line(self) -> str:
        """For a person at a terminal."""
        change = f"{self.before or 'none'} -> {self.champion or 'none'}"
        return f"{self.when}  {self.what:<8} {self.version:>4}  {change:<12} {self.who}: {self.why}"


def event(
    what: Act, version: int, before: int | None, champion: int | None, who: str, why: str
) -> Event:
    """An event of this moment."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Event(now, who, what, version, before, champion, why)


def record(client: MlflowClient, name: str, done: Event) -> None:
    """Append an event."""
    key = f"{PREFIX}{done.when}-{secrets.token_hex(2)}".replace(":", "").replace("+0000", "Z")
    client.set_registered_model_tag(name, key, json.dumps(asdict(done)))


def trail(client: MlflowClient, name: str) -> list[Event]:
    """All events, oldest first; none where the model is not registered."""
    from mlflow.exceptions import MlflowException

    try:
        tags = client.get_registered_model(name).tags
    except MlflowException:
        return []
    return [Event(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(PREFIX)]


def reigns(events: list[Event]) -> list[int]:
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
        by_hand = done.what == "rollback" or (done.what == "promote" and done.who != GATE)
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
