"""Child processes that are never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Grace = Sequence[tuple[signal.Signals, float]]
GRACE: Grace = ((signal.SIGINT, 20.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
"""What to try, and how many seconds to wait for it.

First SIGINT: DVC itself sits it out while the stage ends properly, and then gives up its locks.
SIGTERM would kill DVC at once and leave its locks to be cleared by the next run.
"""
REFRESH = 10.0
"""Seconds between two lines from a progress bar that redraws itself."""


def run_group(command: Sequence[str], cwd: Path, heard: Callable[[str], None] | None = None) -> int:
    """Run a command in a process group of its own, to its end.

    Args:
        command: program and arguments.
        cwd: its working directory.
        heard: gets every line it prints; without it, the command has our terminal.

    Returns:
        Its exit code; negative if a signal killed it.

    Any exception (Ctrl-C, SIGTERM, a time limit) ends the whole group before it goes on.
    """
    piped = subprocess.PIPE if heard else None
    child = subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=piped,
        stderr=subprocess.STDOUT if heard else None,
        start_new_session=True,
    )
    try:
        if heard and child.stdout is not None:
            for line in lines(child.stdout):
                heard(line)
        return child.wait()
    except BaseException:
        end_group(child)
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()


def end_group(child: subprocess.Popen[bytes], grace: Grace = GRACE) -> None:
    """End a process group, gently first, and wait until its leader is gone.

    A second signal does not disturb that: a terminal and who started us may send one each.
    """
    with _undisturbed():
        _end_group(child, grace)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without SIGINT and SIGTERM, where this thread is the one that gets them."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers if mine}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _end_group(child: subprocess.Popen[bytes], grace: Grace) -> None:
    for number, seconds in grace:
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        break
    # The leader is gone; so must be what it had started.
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines as they come; of a bar that redraws itself with a carriage return only some."""
    waiting = b""
    shown = 0.0
    while chunk := os.read(stream.fileno(), 65536):
        waiting += chunk
        while (end := _line_end(waiting)) is not None:
            line, redrawn, waiting = (
                waiting[:end],
                waiting[end : end + 1] == b"\r",
                waiting[end + 1 :],
            )
            text = line.decode("utf-8", errors="replace").rstrip()
            if not text:
                continue
            if redrawn:
                if time.monotonic() - shown < REFRESH:
                    continue
                shown = time.monotonic()
            yield text
    if waiting.strip():
        yield waiting.decode("utf-8", errors="replace").rstrip()


def _line_end(data: bytes) -> int | None:
    ends = [data.find(mark) for mark in (b"\n", b"\r")]
    found = [end for end in ends if end >= 0]
    return min(found) if found else None
