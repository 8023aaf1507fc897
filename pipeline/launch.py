"""A stage as a process: how it starts, and what it says when it ends.

A stage module holds a function of one argument and ends with

    if __name__ == "__main__":
        run_stage("pretrain", main)

Every foreseeable failure becomes one line and an exit code; of any other the traceback is shown,
with a note that the fault is not the user's.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.declaration import PARAMS, declaration
from pipeline.environment import apply_environment, project_root
from pipeline.interruption import Interruption, end_with_owner
from pipeline.locks import hold
from pipeline.resume import RESUME
from pipeline.scale import HelperStage
from pipeline.sections import read_yaml
from pipeline.stage import Stage

FAILED = 1
"""Exit code for a failure nobody foresaw: a traceback comes with it."""
USER_ERROR = 2
"""Exit code for a mistake in data, parameters or set-up: trying again will not help."""
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Set by torchrun, Lightning and Slurm for the processes they start."""
TRANSIENT = 75
"""Exit code for what may be better in a minute (EX_TEMPFAIL): a server that does not answer."""
OURS = "This is a bug in the pipeline, not a mistake of yours: please report it with these lines."
_MACHINE = {
    getattr(errno, name)
    for name in "EACCES EPERM EROFS EIO EMFILE ENFILE ESTALE ENODEV ENXIO ETXTBSY EBUSY".split()
}
"""What a machine answers, whatever the program: no right to a file, a disk that fails."""


def run_stage(name: str, body: Callable[[Stage], None]) -> None:
    """Run `body` as the stage `name` in this process, and exit.

    Exit codes: 0; `USER_ERROR`, `TRANSIENT` or the `exit_code` of the `HmerError`; 130 and 143
    after SIGINT and SIGTERM; `FAILED` with a traceback for what nobody foresaw.
    """
    interruption = Interruption()
    interruption.listen()
    root = project_root()
    helper = is_helper()
    try:
        apply_environment(root)
        end_with_owner(parent=helper)
        # DVC's locks do not see a stage that outlived a killed `dvc` and still writes.
        lock = hold(root / RESUME / name / "lock", f"stage {name}")
        with nullcontext() if helper else lock:
            kind = HelperStage if helper else Stage
            stage = kind(name, root, declaration(root, name), interruption)
            body(stage)
            stage.end()
    except BaseException as error:
        code, message = verdict(error, interruption, root)
        if message is None:
            if isinstance(error, Exception) and not isinstance(error, MemoryError):
                error.add_note(OURS)
            raise
        sys.stderr.write(f"error: {name}: {message}\n")
        sys.stderr.flush()
        sys.exit(code)


def is_helper() -> bool:
    """Whether this process only helps another one: it is not the first of its training."""
    return any(os.environ.get(name, "0") not in {"", "0"} for name in RANKS)


def verdict(error: BaseException, interruption: Interruption, root: Path) -> tuple[int, str | None]:
    """Exit code and the line for a person; no line where a traceback says more.

    A file that is missing is the user's mistake only where the parameters in `root` name it.
    """
    if interruption.exit_code is not None:
        again = "run `dvc repro` to go on from where it was"
        return interruption.exit_code, f"stopped by a signal; {again}"
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted; run `dvc repro` to go on from where it was"
    if _disk_is_full(error):
        return USER_ERROR, (
            "no space left on the disk; nothing half-written was kept: free some space and run "
            "`dvc repro` again"
        )
    if isinstance(error, HmerError):
        code = getattr(error, "exit_code", USER_ERROR)
        return int(code), str(error)
    if isinstance(error, OSError) and error.filename is not None:
        if _is_named(error.filename, root):
            return USER_ERROR, f"{error.filename}: {error.strerror}; {PARAMS} names it"
        if error.errno in _MACHINE:
            return USER_ERROR, f"{error.filename}: {error.strerror}"
    return FAILED, None


def _is_named(file: Any, root: Path) -> bool:
    """Whether the parameters name a file, or a folder that it is in."""
    try:
        path = Path(os.path.realpath(os.fsdecode(file)))
        named = [Path(os.path.realpath(root / text)) for text in _texts(read_yaml(root / PARAMS))]
    except (HmerError, TypeError, ValueError, RuntimeError):
        return False
    # Not the project itself, or a folder around it: it would name everything.
    home = Path(os.path.realpath(root))
    return any(path.is_relative_to(it) and not home.is_relative_to(it) for it in named)


def _texts(value: Any) -> Iterator[str]:
    """All texts among parameters."""
    if isinstance(value, str):
        yield str(Path(value).expanduser())
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _disk_is_full(error: BaseException) -> bool:
    """Anywhere in the chain of causes: libraries wrap the system's error in their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(text in str(seen) for text in ("No space left on device", "disk is full")):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
