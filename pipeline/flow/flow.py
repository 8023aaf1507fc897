"""The pipeline as a Prefect flow: one task per DVC stage.

DVC says what there is to do and whether it must be done; Prefect says when, tries again what may
work in a minute, and keeps the record. Tasks are called one after the other in the main thread:
submitted to threads they would not see a signal before their stage has ended by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from hmer.errors import HmerError
from pipeline.environment import apply_environment, project_root
from pipeline.flow.graph import DVC, look, running_order
from pipeline.flow.notify import notifying
from pipeline.flow.orchestration import FlowConfig, flow_config, is_training
from pipeline.flow.process import run_group
from pipeline.flow.record import close_dead_runs, wait_until_recorded
from pipeline.flow.turn import one_training
from pipeline.interruption import OWNER_LOCK
from pipeline.launch import TRANSIENT
from pipeline.locks import hold
from pipeline.preparation import prepare
from pipeline.resume import FLOW_LOCK

RAN, CACHED = "Ran", "Cached"
RUNNING = re.compile(r"^Running stage '")
EXITED = re.compile(r"exited with (-?\d+)")
BUSY = re.compile(r"is busy, it is being blocked|Unable to acquire lock")
HINTS = ("To track the changes", "\tgit add", "To enable auto", "\tdvc config", "Use `dvc push`")
"""Lines of DVC that are for a person at a terminal."""
TIMED_OUT = "TimedOut"
"""Prefect's name for the state of a task that took too long."""


class StageFailed(HmerError):
    """A stage did not end well."""

    def __init__(self, stage: str, code: int, last: str, transient: bool) -> None:
        super().__init__(f"stage {stage} failed: {last}")
        self.stage = stage
        self.exit_code = code
        self.transient = transient


@dataclass
class Told:
    """What the lines of one `dvc repro` say."""

    stage: str
    ran: bool = False
    code: int | None = None
    busy: bool = False
    last: str = "no message"

    def hear(self, line: str) -> None:
        """Take in a line."""
        self.ran = self.ran or bool(RUNNING.match(line))
        self.busy = self.busy or bool(BUSY.search(line))
        if found := EXITED.search(line):
            self.code = int(found[1])
        if line.startswith("error: "):
            self.last = line.removeprefix("error: ").removeprefix(f"{self.stage}: ")
        elif line.startswith("ERROR: ") and self.last == "no message":
            self.last = line.removeprefix("ERROR: ")


def may_pass(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether to try again: only what was not the fault of data, parameters or code."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and error.transient


@task(cache_policy=NO_CACHE, retry_condition_fn=may_pass)
def reproduce(stage: str, root: Path, changed: bool = True) -> State[None]:
    """Run one stage if DVC finds it changed; its state says whether it did.

    Args:
        stage: its name.
        root: the project.
        changed: False if DVC is known to find nothing to do: it is not asked again.

    Raises:
        StageFailed: it was run and failed.
    """
    logger = get_run_logger()
    told = Told(stage)

    def heard(line: str) -> None:
        told.hear(line)
        if not line.startswith(HINTS):
            logger.info(line)

    if not changed:
        return Completed(name=CACHED, message=f"{stage}: nothing has changed")
    command = [*DVC, "--wait-for-lock", "repro", "--single-item", stage]
    code = run_group(command, root, heard)
    if code:
        transient = told.code == TRANSIENT or (told.busy and not told.ran)
        raise StageFailed(stage, told.code or code, told.last, transient)
    name = RAN if told.ran else CACHED
    return Completed(name=name, message=f"{stage}: {name.lower()}")


@flow(name="hmer", validate_parameters=False)
def pipeline_flow(config: str | None = None, settings: tuple[str, ...] = ()) -> State[Any]:
    """Walk the graph of `dvc.yaml` from its first stage to its last.

    Args:
        config: a configuration to write to `params.yaml` first.
        settings: single parameters to set, `dotted.key=value`.

    Raises:
        HmerError: the parameters are wrong, or a stage failed; what comes after it is not run.
    """
    if multiprocessing.parent_process() is not None:
        # Served. Ctrl-C in a terminal comes to its whole process group; it is for who serves us,
        # and answers it with a SIGTERM for us.
        os.setpgrp()
    root = project_root()
    apply_environment(root)
    lock = root / FLOW_LOCK
    with hold(lock, "the pipeline"), notifying(root) as told:
        os.environ[OWNER_LOCK] = str(lock)
        close_dead_runs(root)
        prepare(root, config, settings)
        around = flow_config(root)
        outcomes: dict[str, str] = {}
        seen = look(root)
        told["quiet"] = not seen.to_do
        try:
            with _tracked(root, bool(seen.to_do)):
                for stage in running_order(seen.graph):
                    changed = stage in seen.to_do
                    with one_training(changed and is_training(root, stage)):
                        outcomes[stage] = _stage(stage, root, changed, around)
        except StageFailed:
            wait_until_recorded(len(outcomes) + 1)
            raise
        wait_until_recorded(len(outcomes))
        message = ", ".join(f"{stage} {name.lower()}" for stage, name in outcomes.items())
        told["message"] = message
    return Completed(message=message, data=outcomes)


def _stage(stage: str, root: Path, changed: bool, around: FlowConfig) -> str:
    """Run one stage as a task; the name of its state."""
    step = reproduce.with_options(
        name=stage,
        task_run_name=stage,
        retries=len(around.delays),
        retry_delay_seconds=list(around.delays),
        timeout_seconds=around.seconds(stage),
    )
    state = step(stage, root, changed, return_state=True)
    if state.name == TIMED_OUT:
        raise StageFailed(
            stage, 1, f"not done after {around.seconds(stage) / 60:g} minutes; a longer limit "
            f"is flow.limits.{stage}", transient=False
        )  # fmt: skip
    state.result()  # raises if it failed
    return str(state.name)


def _tracked(root: Path, changed: bool) -> AbstractContextManager[Any]:
    """One MLflow run over all stages; none where there is nothing to do."""
    if not changed:
        return nullcontext()
    from pipeline.tracking.runs import parent_run

    return parent_run(root, {"stage": "pipeline"})
