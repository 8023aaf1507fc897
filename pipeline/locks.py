"""Locks that the kernel lets go of when their holder dies, however it dies.

They are record locks (`lockf`), not `flock`: worker processes do not inherit them, so a worker
that outlives its parent for a second does not keep the next start waiting.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hmer.errors import HmerError


@contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block.

    Raises:
        HmerError: another process holds it; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "(unknown)"
            raise HmerError(
                f"{what} is being run by process {holder}: wait for it, or end it with "
                f"`kill {holder}`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file. Not to be asked by the holder itself."""
    try:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return path.exists()
    return False
