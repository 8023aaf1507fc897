"""Retraining on a schedule and on new data: a Prefect server here, and the flow waiting.

A signal ends things in an order: the stage that runs, which keeps its resume state; the process of
its flow, which tells the server; what looks for runs; and the server last.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import psutil

from hmer.errors import HmerError
from pipeline.dvcfile import given, given_data, is_code
from pipeline.env import FLOW_LOCK, project_root
from pipeline.process import end_group, guard, hold
from pipeline.tracking.store import first_line

if TYPE_CHECKING:
    from prefect.runner import Runner


SERVER = (sys.executable, "-m", "prefect", "server", "start")
HOST = "127.0.0.1"
PORT = 4200
START_SECONDS = 600
GRACE = ((signal.SIGINT, 5.0), (signal.SIGKILL, 5.0))
"""Time to write down what it has been told. By itself it takes eleven seconds, waiting for nobody;
its data base, in SQLite's write-ahead mode, survives a kill."""


@contextmanager
def server() -> Iterator[str]:
    """URL of a Prefect server that answers.

    Raises:
        HmerError: the one that was named does not, or ours did not start.
    """
    if named := os.environ.get("PREFECT_API_URL"):
        if not answers(named):
            raise HmerError(f"the Prefect server {named} (PREFECT_API_URL) does not answer")
        yield named
        return
    child, url = started()
    try:
        yield url
    finally:
        end_group(child, GRACE)


def started() -> tuple[subprocess.Popen[bytes], str]:
    """A server of our own that answers, and its URL.

    Between looking for a free port and listening on it lie seconds, in which somebody else may take
    it: then ours ends, and another port is tried. That something answers there is not enough, it
    must be our server: the other one may be another project's, and end with it.

    Raises:
        HmerError: it did not start.
    """
    deadline = time.monotonic() + START_SECONDS
    for wanted in (PORT, 0, 0):
        port = free_port(wanted)
        url = f"http://{HOST}:{port}/api"
        child = subprocess.Popen(
            [*SERVER, "--host", HOST, "--port", str(port)],
            cwd=project_root(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while child.poll() is None and time.monotonic() < deadline:
                if listens(child.pid, port) and answers(url):
                    return child, url
                time.sleep(0.5)
        except BaseException:
            end_group(child)
            raise
        end_group(child)
    raise HmerError("the Prefect server did not start; `prefect server start` tells why")


def listens(process: int, port: int) -> bool:
    """Whether a process, or one that it has started, is the one that listens on a port."""
    try:
        above = psutil.Process(process)
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for one in (above, *above.children(recursive=True))
            for connection in one.net_connections("inet")
        )
    except psutil.Error:
        return False


def answers(url: str) -> bool:
    """Whether a Prefect server is at `url`."""
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def free_port(wanted: int) -> int:
    """`wanted`, or, where something else has it, any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise HmerError("no free port on the loopback address")


def watch(
    root: Path, every: float, trigger: Callable[[], None], stop: threading.Event | None = None
) -> None:
    """Call `trigger` whenever the raw data have changed since the last run, until `stop`.

    DVC is asked once for each state of the files, and only when two looks agree: a copy that is
    under way is left to finish.

    Args:
        root: the project.
        every: seconds between two looks.
        trigger: starts a run; where it fails, it is tried again at the next look.
        stop: ends the watch.
    """
    stop = stop or threading.Event()
    before: object = None
    asked: object = None
    troubled = ""
    while not stop.is_set():
        try:
            now = _files(root)
            if now == before != asked:
                changed = {path: how for path, how in given_data(root).items() if how}
                missing = [path for path, how in changed.items() if how == "deleted"]
                if missing:
                    _say(f"{', '.join(missing)} is not there: waiting for it")
                elif changed:
                    _say(f"new data in {', '.join(changed)}: retraining")
                    trigger()
                asked = now
            before, troubled = now, ""
        except Exception as error:  # a folder being moved, a server that restarts: it may pass
            if (reason := first_line(error)) != troubled:
                _say(f"{reason}; looking again later")
            troubled = reason
        stop.wait(every)


def _files(root: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files that data are in."""
    places = [root / path for path in sorted(given(root)) if not is_code(path)]
    files = [file for place in places for file in (place, *sorted(place.rglob("*")))]
    found = [(str(file), file.stat()) for file in files if file.exists()]
    return [(name, about.st_size, about.st_mtime_ns) for name, about in found]


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
        config, settings: as for the flow.

    Raises:
        HmerError: the cron line or the time zone is wrong, or there is no server.
    """
    when = ""
    if cron is not None:
        timezone = timezone or local_zone()
        check_schedule(cron, timezone)
        when = f"; runs at {cron!r}, {timezone}"
    guard()
    with server() as url, _announced(url):
        _use(url)
        from prefect.runner import Runner
        from prefect.schedules import Cron

        from pipeline.flow.flow import close_dead_runs, pipeline_flow, project_tag

        root = project_root()
        with suppress(HmerError), hold(root / FLOW_LOCK, "the pipeline"):
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


def check_schedule(cron: str, timezone: str) -> None:
    """Refuse what is no cron line, or no IANA name of a time zone.

    Raises:
        HmerError: one of them.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("timezone",):
            expected = f"--timezone {timezone!r}: expected a name such as 'Europe/Berlin'"
        else:
            expected = f"--cron {cron!r}: expected five fields, such as '0 3 * * *'"
        raise HmerError(expected) from None


def local_zone() -> str:
    """The name of this machine's time zone, so that "at three" is at three here, all year.

    Raises:
        HmerError: it has no name.
    """
    from tzlocal import get_localzone_name

    try:
        name = get_localzone_name() or "UTC"
        now = datetime.now(UTC)
        known = now.astimezone(ZoneInfo(name)).utcoffset() == now.astimezone().utcoffset()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:  # such as a rule in $TZ
        raise HmerError(
            "this machine's time zone has no name that is known; say which is meant: "
            "--timezone Europe/Berlin"
        )
    return name


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()
