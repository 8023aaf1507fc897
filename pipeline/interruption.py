"""Ctrl-C, SIGTERM and the death of whoever started us, all turned into one exception."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import psutil

from pipeline.locks import is_held

INTERRUPTED = 130
TERMINATED = 143
OWNER_LOCK = "HMER_OWNER_LOCK"


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


def end_with_owner(seconds: float = 1.0, parent: bool = False) -> None:
    """Send this process SIGTERM as soon as one of the processes that started it is gone.

    A `dvc` that is killed leaves its stage running; the next `dvc repro` would start a second
    training beside it. Watched are DVC (which sets `DVC_STAGE` for its children) with the shell
    that it may have put between, and the flow, which holds the lock file named in
    `HMER_OWNER_LOCK`. A stage started by hand watches nobody, unless told to watch its parent.
    """
    owners = _ancestors_up_to_dvc() if "DVC_STAGE" in os.environ else []
    if parent and not owners and (above := psutil.Process().parent()) is not None:
        owners = [above]
    lock = os.environ.get(OWNER_LOCK)
    if not owners and lock is None:
        return

    def watch() -> None:
        while all(map(_lives, owners)) and (lock is None or is_held(Path(lock))):
            time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-owner", daemon=True).start()


def _ancestors_up_to_dvc() -> list[psutil.Process]:
    """The parent and so on, up to the first that DVC has not started: DVC itself.

    `bash -c` and `zsh -c` become the command they run; `sh -c` (dash) waits for it, and outlives
    a DVC that is killed.
    """
    owners = []
    for ancestor in psutil.Process().parents():
        owners.append(ancestor)
        try:
            if "DVC_STAGE" not in ancestor.environ():
                break
        except psutil.Error:
            break
    return owners


def _lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
