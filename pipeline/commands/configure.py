"""`python -m pipeline configure` and `check`: writing and checking `params.yaml`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.commands.base import Settings
from pipeline.environment import project_root


def configure(
    name: Annotated[str | None, typer.Argument(help="configuration from configs/")] = None,
    settings: Settings = None,
) -> None:
    """Write params.yaml: the default, patched by a configuration and by settings."""
    from pipeline.configurations import configurations, configure

    root = project_root()
    if name is None and not settings:
        sys.stdout.write("\n".join(configurations(root)) + "\n")
        return
    configure(root, name, settings or ())


def check() -> None:
    """Check params.yaml without running anything."""
    from pipeline.params import load_params

    load_params(project_root() / "params.yaml")
