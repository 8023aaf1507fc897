"""Nothing we started may outlive us, not even where we are killed without a chance to clean up.

`guard()` starts this file as a process of its own, which waits on a pipe. When the pipe closes,
because we have ended in whatever way, it ends every process that carries our mark in its
environment: the Prefect server that a flow starts for itself, DVC, a stage and its workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import psutil

MARK = "HMER_GUARDED"
"""Environment variable that all our descendants inherit."""
GRACE = 20.0
"""Seconds between SIGTERM and SIGKILL: a stage ends its MLflow run and removes half outputs."""

_guards: list[subprocess.Popen[bytes]] = []


def guard() -> None:
    """From now on, end what this process starts when it ends. Once is enough."""
    if MARK in os.environ:  # whoever started us has a guard, which is ours too
        return
    mark = uuid.uuid4().hex
    # Not under the mark itself, and out of reach of a Ctrl-C in our terminal. The reference is
    # kept, for the pipe closes with it.
    _guards.append(
        subprocess.Popen(
            [sys.executable, __file__, mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    )
    os.environ[MARK] = mark


def marked(mark: str) -> list[psutil.Process]:
    """Processes that have inherited a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def end(mark: str, grace: float = GRACE) -> None:
    """End all that carry a mark, politely at first; those they start meanwhile too."""
    for process in marked(mark):
        _try(process.terminate)
    deadline = time.monotonic() + grace
    while (left := marked(mark)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.2)
    for process in left:
        _try(process.kill)


def _try(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.Error:
        return


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
