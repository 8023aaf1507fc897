"""`python -m pipeline promote`, `rollback` and `audit`: the champion by hand, with a trail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.errors import HmerError
from pipeline.environment import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

Why = Annotated[str, typer.Option(help="the reason, for the audit trail")]
Who = Annotated[str | None, typer.Option(help="who decides; default: git's user")]


def promote(
    version: Annotated[str, typer.Argument(help="number of the version, or challenger")],
    why: Why,
    who: Who = None,
) -> None:
    """Make a version champion, whatever the gate said of it."""
    from pipeline.registry import audit
    from pipeline.registry.release import crown
    from pipeline.registry.versions import find_version

    root = project_root()
    client, name = registered(root)
    number = int(find_version(client, name, version).version)
    crown(client, name, number, "promote", who or audit.person(root), why)
    _fetched(root, name, number)


def rollback(why: Why, who: Who = None) -> None:
    """Make the champion before this one champion again."""
    from pipeline.registry import audit
    from pipeline.registry.release import crown

    root = project_root()
    client, name = registered(root)
    earlier = audit.reigns(audit.trail(client, name))[:-1]
    if not earlier:
        raise HmerError(f"{name} has no earlier champion to go back to; see `audit`")
    crown(client, name, earlier[-1], "rollback", who or audit.person(root), why)
    _fetched(root, name, earlier[-1])


def audit() -> None:
    """Say who made which version champion, when and why."""
    from pipeline.registry import audit

    client, name = registered(project_root())
    for done in audit.trail(client, name):
        sys.stdout.write(f"{done.line()}\n")


def relocate() -> None:
    """Tell the tracking store of a project that was moved or copied where it is now."""
    from pipeline.tracking.store import connect

    # Every command that opens the store does it; MLflow's own user interface does not.
    connect(project_root())


def registered(root: Path) -> tuple[MlflowClient, str]:
    """The registry's client, and the name of the model in the parameters."""
    from pipeline.declaration import PARAMS
    from pipeline.registry.promotion import RegisterConfig
    from pipeline.sections import load_section
    from pipeline.tracking.store import connect

    client, _ = connect(root)
    return client, load_section(root / PARAMS, "register", RegisterConfig).name


def _fetched(root: Path, name: str, version: int) -> None:
    from pipeline.registry.champion import fetch

    sys.stdout.write(f"{name} version {version} is champion: {fetch(root)}\n")
