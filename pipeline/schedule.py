"""Retraining on a schedule: a Prefect server on this machine, and the flow waiting for its hour.

The server that a flow starts for itself never creates scheduled runs, so a lasting one is needed.
If `PREFECT_API_URL` names one it is used; otherwise one is started on the loopback address and
ended with us.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from hmer.errors import HmerError
from pipeline.environment import project_root
from pipeline.process import end_group

HOST = "127.0.0.1"
PORT = 4200
START_SECONDS = 120


def serve_on(cron: str, config: str | None, settings: tuple[str, ...]) -> None:
    """Serve the flow until interrupted; a run that is due while another runs has to wait.

    Raises:
        HmerError: the cron line is wrong, or there is no server.
    """
    check_cron(cron)
    with server() as url:
        os.environ["PREFECT_API_URL"] = url
        from pipeline.flow import pipeline_flow

        sys.stdout.write(f"serving on {url.removesuffix('/api')}; Ctrl-C ends it\n")
        sys.stdout.flush()
        pipeline_flow.serve(
            name="retrain",
            cron=cron,
            limit=1,
            parameters={"config": config, "settings": list(settings)},
        )


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
    port = free_port(PORT)
    url = f"http://{HOST}:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    child = subprocess.Popen(
        [*command, "--host", HOST, "--port", str(port)],
        cwd=project_root(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(url):
            if child.poll() is not None or time.monotonic() > deadline:
                raise HmerError(
                    "the Prefect server did not start; `prefect server start` tells why"
                )
            time.sleep(0.5)
        yield url
    finally:
        end_group(child)


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
