"""One training at a time: a place that the Prefect server gives out, across all its projects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.concurrency.sync import concurrency
from prefect.settings import PREFECT_API_URL

LIMIT = "hmer-training"
"""Name of the concurrency limit; raise it on the server where there is room for more."""
LEASE = 120.0
"""Seconds after which the place of a flow that was killed is free again."""


@contextmanager
def one_training(wanted: bool) -> Iterator[None]:
    """Hold the place for the block, waiting for it as long as it takes.

    Args:
        wanted: False does nothing.
    """
    if not wanted:
        yield
        return
    with get_client(sync_client=True) as client:
        known = {limit.name: limit for limit in client.read_global_concurrency_limits()}
        if LIMIT not in known:
            client.upsert_global_concurrency_limit_by_name(LIMIT, 1)
        elif PREFECT_API_URL.value() is None and known[LIMIT].active_slots:
            # The flow's own server, for this project alone, whose lock we hold: whoever had the
            # place was killed, with the server that should have taken it back.
            client.update_global_concurrency_limit(
                LIMIT, GlobalConcurrencyLimitUpdate(active_slots=0)
            )
        elif known[LIMIT].active_slots >= known[LIMIT].limit:
            get_run_logger().info("waiting: another training is under way")
    with concurrency(
        LIMIT, strict=True, lease_duration=LEASE, raise_on_lease_renewal_failure=False
    ):
        yield
