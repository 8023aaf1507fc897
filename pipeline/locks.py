"""Locks that the kernel lets go of when their holder dies, however it dies.

They are record locks (`lockf`), not `flock`: worker processes do not inherit them, so a worker
that outlives its parent for a second does not keep the next start waiting.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hmer.errors import HmerError

GLANCE = 1.0
"""Seconds to try for a lock: `is_held` takes it for a moment, and so may several that watch."""
PAUSE = 0.02


@contextmanager
def hold(path: Path, what: str, patience: float = GLANCE) -> Iterator[None]:
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


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file. Not to be asked by the holder itself."""
    try:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return path.exists()
    return False
