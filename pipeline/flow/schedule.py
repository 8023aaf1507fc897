"""Retraining on a schedule and on new data: a Prefect server here, and the flow waiting.

A signal ends things in an order: the stage that runs, which keeps its resume state; the process of
its flow, which tells the server; what looks for runs; and the server last.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hmer.errors import HmerError
from pipeline.environment import project_root
from pipeline.flow.guard import guard
from pipeline.flow.server import answers, server
from pipeline.flow.watch import watch
from pipeline.locks import is_held
from pipeline.resume import FLOW_LOCK

if TYPE_CHECKING:
    from prefect.runner import Runner

DEPLOYMENT = "retrain"
SERVED = ".prefect/serving"
"""File with the address of the server, while we serve."""
PATIENCE = 40.0
"""Seconds that a run gets to end before it is killed: a stage takes one or two of them."""


def serve_on(
    cron: str | None,
    timezone: str | None,
    every: float | None,
    config: str | None,
    settings: tuple[str, ...],
) -> None:
    """Serve the flow until interrupted; a run that is due while another runs has to wait.

    Args:
        cron: when to run; None: only when asked.
        timezone: of the cron line, by its IANA name; None: this machine's.
        every: seconds between two looks at the raw data; None: do not look.
        config: as for the flow.
        settings: as for the flow.

    Raises:
        HmerError: the cron line or the time zone is wrong, or there is no server.
    """
    when = ""
    if cron is not None:
        timezone = known_zone(timezone) if timezone else local_zone()
        check_cron(cron, timezone)
        when = f"; runs at {cron!r}, {timezone}"
    guard()
    with server() as url, _announced(url):
        _use(url)
        from prefect.runner import Runner
        from prefect.schedules import Cron

        from pipeline.flow.flow import pipeline_flow
        from pipeline.flow.record import close_dead_runs, project_tag

        root = project_root()
        if not is_held(root / FLOW_LOCK):
            close_dead_runs(root, waiting=True)
        runner = Runner(name=DEPLOYMENT, limit=1)
        runner.add_flow(
            pipeline_flow,
            name=DEPLOYMENT,
            schedule=None if cron is None else Cron(cron, timezone=timezone),
            parameters={"config": config, "settings": list(settings)},
            tags=[project_tag(root)],
        )
        _say(f"serving on {url.removesuffix('/api')}{when}; Ctrl-C ends it")
        _say("a run at once: python -m pipeline trigger")
        if every is not None:
            threading.Thread(
                target=watch, args=(root, every, trigger), name="watch", daemon=True
            ).start()
        run_until_interrupted(runner)


def run_until_interrupted(runner: Runner) -> None:
    """Let a runner start the runs that are due, until an exception, such as a signal's, comes.

    It has a thread of its own: in the main one it would take the signals over, and leave its flows
    to run on without a server.
    """
    loop = asyncio.new_event_loop()
    running = loop.create_task(runner.start())
    ended = threading.Event()  # not the thread's join, which a signal makes believe it has ended
    errors: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(running)
        except BaseException as error:  # told by the thread that waits
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="runner", daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        loop.call_soon_threadsafe(running.cancel)
        _end_runs(ended)
        raise
    raise HmerError("serving has ended by itself") from next(iter(errors), None)


def _end_runs(ended: threading.Event) -> None:
    """End the processes of flows, gently first, until their runner has ended too."""
    deadline = time.monotonic() + PATIENCE
    asked: set[int | None] = set()
    while not ended.is_set() and time.monotonic() < deadline + PATIENCE:
        for child in multiprocessing.active_children():
            if child.pid not in asked:
                asked.add(child.pid)
                child.terminate()
            elif time.monotonic() > deadline:
                child.kill()
        ended.wait(0.1)


def trigger() -> None:
    """Ask the server for a run of the deployment, without waiting for it.

    Raises:
        HmerError: nobody serves it.
    """
    where = project_root() / SERVED
    url = os.environ.get("PREFECT_API_URL") or (where.read_text() if where.is_file() else "")
    if not url or not answers(url):
        raise HmerError("nothing serves the pipeline: start `python -m pipeline serve`")
    _use(url)
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        run_deployment(name=f"hmer/{DEPLOYMENT}", timeout=0, as_subflow=False)
    except ObjectNotFound:
        raise HmerError(
            f"no deployment hmer/{DEPLOYMENT} at {url}: start `python -m pipeline serve`"
        ) from None


def _use(url: str) -> None:
    """Tell Prefect, which reads its environment when it is imported, which server is meant."""
    if os.environ.get("PREFECT_API_URL") == url:
        return
    os.environ["PREFECT_API_URL"] = url
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


@contextmanager
def _announced(url: str) -> Iterator[None]:
    """Where the server is, for other commands, while the block lasts."""
    where = project_root() / SERVED
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(url)
    try:
        yield
    finally:
        where.unlink(missing_ok=True)


def check_cron(cron: str, timezone: str = "UTC") -> None:
    """Refuse what is not a cron line.

    Raises:
        HmerError: it is not.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError:
        raise HmerError(f"--cron {cron!r}: expected five fields, such as '0 3 * * *'") from None


def known_zone(name: str) -> str:
    """The name of a time zone, if it is one.

    Raises:
        HmerError: it is not.
    """
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise HmerError(f"--timezone {name!r}: expected a name such as 'Europe/Berlin'") from None


def local_zone(
    files: tuple[Path, Path] = (Path("/etc/timezone"), Path("/etc/localtime")),
) -> str:
    """The name of this machine's time zone, so that "at three" is at three here, all year.

    Raises:
        HmerError: it has no name.
    """
    written, linked = files
    named = os.environ.get("TZ", "").removeprefix(":")
    if not named and linked.is_symlink():
        named = str(linked.resolve()).rpartition("zoneinfo/")[2]
    elif not named and written.is_file():
        named = written.read_text(encoding="utf-8").strip()
    try:
        return known_zone(named) if named else known_zone("UTC" if not time.timezone else "")
    except HmerError:
        raise HmerError(
            f"this machine's time zone {named!r} has no name that is known; say which is meant: "
            "--timezone Europe/Berlin"
        ) from None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
