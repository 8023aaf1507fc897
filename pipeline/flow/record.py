"""The record of a flow, whole before its server ends.

What becomes of a task is told to the Prefect server by way of a queue. The server that a flow
starts for itself ends with the flow, and what is still in the queue then is lost: the task would be
shown as running for ever. So would a run that was killed: the next one closes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

PATIENCE = 15.0
"""Seconds to wait for the queue; it takes a tenth of one where there is nothing else to do."""
PAUSE = 0.1


def wait_until_recorded(tasks: int) -> None:
    """Wait until the flow's own server knows how `tasks` tasks of this flow run have ended.

    Where the server is a lasting one there is nothing to wait for.
    """
    if PREFECT_API_URL.value() is not None or not tasks:
        return
    this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    with get_client(sync_client=True) as client:
        wait(lambda: [run.state for run in client.read_task_runs(flow_run_filter=this)], tasks)


def tagged(root: Path) -> AbstractContextManager[object]:
    """Flow runs in this context carry the tag of the project at `root`."""
    from prefect import tags

    return tags(project_tag(root))


def project_tag(root: Path) -> str:
    """The tag by which a project knows its own flow runs on a server that several use."""
    return f"project:{root}"


def close_dead_runs(root: Path, waiting: bool = False) -> None:
    """Close the runs of this project that were killed: to be called where no other can be alive.

    Args:
        root: the project.
        waiting: also those that were about to start.
    """
    kinds = [StateType.RUNNING, StateType.CANCELLING, *([StateType.PENDING] if waiting else [])]
    ours = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[project_tag(root)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=kinds)),
    )
    killed: State[Any] = Crashed(message="It was killed: the next start has found it.")
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=ours):
            if str(run.id) == str(flow_run.id):
                continue
            of_it = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            for part in client.read_task_runs(flow_run_filter=of_it):
                if part.state is not None and not part.state.is_final():
                    client.set_task_run_state(part.id, killed, force=True)
            client.set_flow_run_state(run.id, killed, force=True)


def wait(states: Callable[[], Sequence[State[Any] | None]], tasks: int) -> bool:
    """Ask until so many states are final; whether they are."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if sum(state is not None and state.is_final() for state in states()) >= tasks:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
