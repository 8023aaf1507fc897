"""`python -m pipeline serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hmer.errors import HmerError
from pipeline.commands.base import Config, Settings


def serve(
    cron: Annotated[str | None, typer.Option(help='when to run, e.g. "0 3 * * *"')] = None,
    timezone: Annotated[
        str | None, typer.Option(help="of --cron, e.g. Europe/Berlin  [default: this machine's]")
    ] = None,
    on_new_data: Annotated[
        bool, typer.Option("--on-new-data", help="run when the raw data have changed")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, help="seconds between two looks at the raw data")
    ] = 60.0,
    config: Config = None,
    settings: Settings = None,
) -> None:
    """Run on a schedule, on new data, or both, one run at a time, until interrupted."""
    from pipeline.flow.schedule import serve_on

    if cron is None and not on_new_data:
        raise HmerError("say when to run: --cron LINE, --on-new-data, or both")
    serve_on(cron, timezone, every if on_new_data else None, config, tuple(settings or ()))


def trigger() -> None:
    """Ask whoever serves the pipeline for a run at once."""
    from pipeline.flow.schedule import trigger

    trigger()
    sys.stdout.write("a run has been asked for\n")
