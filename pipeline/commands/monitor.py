"""`python -m pipeline monitor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.errors import HmerError
from pipeline.environment import project_root


def monitor(
    folder: Annotated[Path, typer.Argument(help="recent pictures or InkML")],
    retrain: Annotated[
        bool, typer.Option(help="on drift, ask the served deployment for a run")
    ] = True,
    here: Annotated[bool, typer.Option("--run", help="on drift, run the pipeline here")] = False,
) -> int:
    """Compare recent input with the data set; exit code 5 where it has drifted."""
    from hmer.progress import Steps
    from pipeline.monitor.monitor import DRIFTED, REPORT, monitor

    root = project_root()
    with Steps("monitor", None, True, " expressions") as steps:
        drift = monitor(root, folder, lambda what, done: steps.update(done, note=what))
    moved = [finding.name for finding in drift.findings if finding.drifted]
    verdict = f"drift in {', '.join(moved)}" if moved else "no drift"
    sys.stdout.write(f"{drift.read} read: {verdict}; see {REPORT}/index.html\n")
    if not drift.drifted:
        return 0
    if here:
        from pipeline.commands.run import run

        run()
    elif retrain:
        from pipeline.flow.graph import look
        from pipeline.flow.schedule import trigger

        try:
            idle = not look(root).to_do
            trigger()
            sys.stdout.write("retraining has been asked for\n")
            if idle:
                sys.stdout.write(
                    "neither data nor parameters have changed since the last run, so it will find "
                    "nothing to do: put captioned examples of such input into the raw data\n"
                )
        except HmerError as error:
            sys.stderr.write(f"warning: not retrained: {error}\n")
    return DRIFTED
