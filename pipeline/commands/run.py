"""`python -m pipeline run`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from hmer.errors import HmerError
from pipeline.commands.base import Config, Settings
from pipeline.commands.summary import summary
from pipeline.environment import project_root


def run(
    config: Config = None,
    settings: Settings = None,
    prefect: Annotated[
        bool, typer.Option(help="as a Prefect flow, or as plain `dvc repro`")
    ] = True,
) -> int:
    """Bring everything up to date: run the stages whose inputs have changed."""
    from pipeline.overview.page import bring_up_to_date

    try:
        if prefect:
            code = as_flow(config, tuple(settings or ()))
        else:
            code = as_repro(config, tuple(settings or ()))
    except ReproFailed:
        bring_up_to_date(project_root(), failed=True)
        raise
    bring_up_to_date(project_root(), failed=code != 0)
    if not code:
        summary()
    return code


def as_flow(config: str | None, settings: tuple[str, ...]) -> int:
    """The Prefect flow; its exit code is that of the stage that failed."""
    from pipeline.flow.guard import guard
    from pipeline.preparation import check

    # Prefect takes seconds to start, and wraps what goes wrong in a page of traceback.
    check(project_root(), config, settings)
    guard()
    from pipeline.flow.flow import StageFailed, pipeline_flow
    from pipeline.flow.record import tagged

    with tagged(project_root()):
        state = pipeline_flow(config, settings, return_state=True)
    if state.is_completed():
        return 0
    error = state.result(raise_on_failure=False)
    if isinstance(error, KeyboardInterrupt):
        raise error
    sys.stderr.write(f"error: {error if isinstance(error, HmerError) else state.message}\n")
    return error.exit_code if isinstance(error, StageFailed) and error.exit_code > 0 else 1


class ReproFailed(HmerError):
    """`dvc repro` has failed, and has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"dvc repro ended with code {code}")
        self.exit_code = code if code > 0 else 1


def as_repro(config: str | None, settings: tuple[str, ...]) -> int:
    """Plain `dvc repro`.

    Raises:
        ReproFailed: it did not end well.
    """
    from pipeline.flow.graph import DVC, look
    from pipeline.flow.guard import guard
    from pipeline.flow.notify import notifying
    from pipeline.flow.process import run_group
    from pipeline.locks import hold
    from pipeline.preparation import prepare
    from pipeline.resume import FLOW_LOCK
    from pipeline.tracking.runs import parent_run

    root: Path = project_root()
    with hold(root / FLOW_LOCK, "the pipeline"), notifying(root):
        prepare(root, config, settings)
        guard()
        changed = bool(look(root).to_do)
        with parent_run(root, {"stage": "pipeline"}) if changed else nullcontext():
            if code := run_group([*DVC, "--wait-for-lock", "repro"], root):
                raise ReproFailed(code)
    return 0
