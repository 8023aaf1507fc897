"""A Prefect server of our own on the loopback address, or the one that `PREFECT_API_URL` names.

The server that a flow starts for itself never creates scheduled runs, so a lasting one is needed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from hmer.errors import HmerError
from pipeline.environment import project_root
from pipeline.flow.process import end_group

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
