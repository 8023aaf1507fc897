"""The record of a flow, whole before its server ends.

What becomes of a task is told to the Prefect server by way of a queue. The server that a flow
starts for itself ends with the flow, and what is still in the queue then is lost: the task would be
shown as running for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

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


def wait(states: Callable[[], Sequence[State[Any] | None]], tasks: int) -> bool:
    """Ask until so many states are final; whether they are."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if sum(state is not None and state.is_final() for state in states()) >= tasks:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
