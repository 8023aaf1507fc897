"""`python -m pipeline reproduce`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.promote import registered
from pipeline.environment import project_root


def reproduce(
    version: Annotated[str, typer.Argument(help="number, or champion, or challenger")],
    into: Annotated[
        Path | None, typer.Option(help="folder for the worktree, which is then kept")
    ] = None,
) -> int:
    """Make the weights of a registered version again, and compare them byte for byte."""
    from pipeline.registry.reproduce import recipe, reproduce
    from pipeline.registry.versions import find_version

    root = project_root()
    client, name = registered(root)
    found = find_version(client, name, version)
    outcome = reproduce(recipe(client, root, found, "register"), root, into)
    sys.stdout.write(f"{outcome.line()}\n")
    return 0 if outcome.same else 1
