"""Processes: file locks, signals as exceptions, process groups, and no orphans."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil

from hmer.errors import HmerError

PAUSE = 0.02


@contextmanager
def hold(path: Path, what: str, patience: float = 1.0) -> Iterator[None]:
    """Hold the lock file `path` for the block.

    Args:
        path: made where it is missing.
        what: is protected, for the message.
        patience: seconds to wait for another holder.

    Raises:
        HmerError: another process holds it; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with path.open("a+", encoding="utf-8") as file:
        while not _taken(file):
            if time.monotonic() > deadline:
                file.seek(0)
                holder = file.read().strip() or "(unknown)"
                raise HmerError(
                    f"{what} is being run by process {holder}: wait for it, or end it with "
                    f"`kill {holder}`"
                )
            time.sleep(PAUSE)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Terminated(KeyboardInterrupt):
    """SIGTERM. A `KeyboardInterrupt`, so that Lightning and pools close down as for Ctrl-C."""


class Interruption:
    """Remembers which signal came: libraries swallow the exception and exit in their own way."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._process = os.getpid()

    def listen(self) -> None:
        """Take over SIGINT and SIGTERM in this process (its main thread)."""
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    @property
    def exit_code(self) -> int | None:
        """What a shell expects from a process ended by that signal; None if none came."""
        return None if self.signal is None else 128 + self.signal

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A forked worker has inherited the handler: it just ends.
            os._exit(128 + number)
        first = self.signal is None
        self.signal = number
        if first:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def end_with_parent() -> None:
    """Send this process SIGTERM as soon as its parent is gone.

    A `dvc` that is killed leaves its stage running; the next `dvc repro` would start a second
    training beside it. (By `exec` in dvc.yaml no shell stands between the two.) The death of a flow
    is its `guard`'s business.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


Grace = Sequence[tuple[signal.Signals, float]]
STEPS: Grace = ((signal.SIGINT, 20.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
"""What to try, and how many seconds to wait for it.

First SIGINT: DVC itself sits it out while the stage ends properly, and then gives up its locks.
SIGTERM would kill DVC at once and leave its locks to be cleared by the next run.
"""


def run_group(
    command: Sequence[str],
    cwd: Path,
    heard: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a command in a process group of its own, to its end.

    Args:
        command: program and arguments.
        cwd: its working directory.
        heard: gets every line it prints; without it, the command has our terminal.
        environment: if not ours.

    Returns:
        Its exit code; negative if a signal killed it.

    Any exception (Ctrl-C, SIGTERM, a time limit) ends the whole group before it goes on.
    """
    piped = subprocess.PIPE if heard else None
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=piped,
        stderr=subprocess.STDOUT if heard else None,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        if heard and child.stdout is not None:
            for line in filter(str.strip, child.stdout):
                heard(line.rstrip())
        return child.wait()
    except BaseException:
        end_group(child)
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()


def end_group(child: subprocess.Popen[Any], grace: Grace = STEPS) -> None:
    """End a process group, gently first, and wait until its leader is gone.

    A second signal does not disturb that: a terminal and who started us may send one each.
    """
    with _undisturbed(), suppress(ProcessLookupError, PermissionError):
        for number, seconds in grace:
            os.killpg(child.pid, number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
                break
        os.killpg(child.pid, signal.SIGKILL)  # what the leader had started must be gone, too


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


MARK = "HMER_GUARDED"
"""Environment variable that all our descendants inherit."""
GRACE = 20.0
"""Seconds between SIGTERM and SIGKILL: a stage ends its MLflow run and removes half outputs."""

_guards: list[subprocess.Popen[bytes]] = []


def guard(anew: bool = False) -> None:
    """From now on, end what this process starts when it ends. Once is enough.

    Args:
        anew: also where whoever started this process has a guard, which waits for their end alone.
    """
    if MARK in os.environ and not anew:
        return
    mark = uuid.uuid4().hex
    code, known = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")
    # Not under the mark itself, and out of reach of a Ctrl-C in our terminal. The reference is
    # kept, for the pipe closes with it.
    _guards.append(
        subprocess.Popen(
            [sys.executable, "-m", "pipeline.process", mark],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([code, *filter(None, [known])])},
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
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def end(mark: str, grace: float = GRACE) -> None:
    """End all that carry a mark, politely at first; those they start meanwhile too."""
    for process in marked(mark):
        with suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + grace
    while (left := marked(mark)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.2)
    for process in left:
        with suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
