"""Retraining on a schedule and on new data: a Prefect server here, and the flow waiting.

The server that a flow starts for itself never creates scheduled runs, so a lasting one is needed.
If `PREFECT_API_URL` names one it is used; otherwise one is started on the loopback address and
ended with us.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from hmer.errors import HmerError
from pipeline.environment import project_root
from pipeline.flow.guard import guard
from pipeline.flow.process import end_group
from pipeline.flow.watch import watch

DEPLOYMENT = "retrain"
SERVED = ".prefect/serving"
"""File with the address of the server, while we serve."""
HOST = "127.0.0.1"
PORT = 4200
START_SECONDS = 600


def serve_on(
    cron: str | None, every: float | None, config: str | None, settings: tuple[str, ...]
) -> None:
    """Serve the flow until interrupted; a run that is due while another runs has to wait.

    Args:
        cron: when to run; None: only when asked.
        every: seconds between two looks at the raw data; None: do not look.
        config: as for the flow.
        settings: as for the flow.

    Raises:
        HmerError: the cron line is wrong, or there is no server.
    """
    if cron is not None:
        check_cron(cron)
    guard()
    with server() as url, _announced(url):
        os.environ["PREFECT_API_URL"] = url
        from pipeline.flow.flow import pipeline_flow

        sys.stdout.write(f"serving on {url.removesuffix('/api')}; Ctrl-C ends it\n")
        sys.stdout.flush()
        if every is not None:
            threading.Thread(
                target=watch, args=(project_root(), every, trigger), name="watch", daemon=True
            ).start()
        pipeline_flow.serve(
            name=DEPLOYMENT,
            cron=cron,
            limit=1,
            parameters={"config": config, "settings": list(settings)},
        )


def trigger() -> None:
    """Ask the server for a run of the deployment, without waiting for it.

    Raises:
        HmerError: nobody serves it.
    """
    where = project_root() / SERVED
    url = os.environ.get("PREFECT_API_URL") or (where.read_text() if where.is_file() else "")
    if not url or not answers(url):
        raise HmerError("nothing serves the pipeline: start `python -m pipeline serve`")
    os.environ["PREFECT_API_URL"] = url
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    try:
        run_deployment(name=f"hmer/{DEPLOYMENT}", timeout=0, as_subflow=False)
    except ObjectNotFound:
        raise HmerError(
            f"no deployment hmer/{DEPLOYMENT} at {url}: start `python -m pipeline serve`"
        ) from None


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


def check_cron(cron: str) -> None:
    """Refuse what is not a cron line.

    Raises:
        HmerError: it is not.
    """
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron)
    except ValidationError:
        raise HmerError(f"--cron {cron!r}: expected five fields, such as '0 3 * * *'") from None


@contextmanager
def server() -> Iterator[str]:
    """URL of a Prefect server that answers.

    Raises:
        HmerError: the one that was named does not, or ours did not start.
    """
    named = os.environ.get("PREFECT_API_URL")
    if named:
        if not answers(named):
            raise HmerError(f"the Prefect server {named} (PREFECT_API_URL) does not answer")
        yield named
        return
    child, url = started()
    try:
        yield url
    finally:
        end_group(child)


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
        child = _start(port)
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


def _start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prefect", "server", "start"]
    return subprocess.Popen(
        [*command, "--host", HOST, "--port", str(port)],
        cwd=project_root(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


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
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (OSError, ValueError):
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
