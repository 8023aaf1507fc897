"""A stage as a process: how it starts, and what it says when it ends.

A stage module holds a function of one argument and ends with

    if __name__ == "__main__":
        run_stage("pretrain", main)

Every foreseeable failure becomes one line and an exit code.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext

from hmer.errors import HmerError
from pipeline.declaration import declaration
from pipeline.environment import apply_environment, project_root
from pipeline.interruption import Interruption, end_with_owner
from pipeline.locks import hold
from pipeline.resume import RESUME
from pipeline.scale import HelperStage
from pipeline.stage import Stage

FAILED = 1
"""Exit code for a failure nobody foresaw: a traceback comes with it."""
USER_ERROR = 2
"""Exit code for a mistake in data, parameters or set-up: trying again will not help."""
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Set by torchrun, Lightning and Slurm for the processes they start."""
TRANSIENT = 75
"""Exit code for what may be better in a minute (EX_TEMPFAIL): a server that does not answer."""


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
        code, message = verdict(error, interruption)
        if message is None:
            raise
        sys.stderr.write(f"error: {name}: {message}\n")
        sys.stderr.flush()
        sys.exit(code)


def is_helper() -> bool:
    """Whether this process only helps another one: it is not the first of its training."""
    return any(os.environ.get(name, "0") not in {"", "0"} for name in RANKS)


def verdict(error: BaseException, interruption: Interruption) -> tuple[int, str | None]:
    """Exit code and the line for a person; no line where a traceback says more."""
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
    if isinstance(error, FileNotFoundError):
        return USER_ERROR, f"{error.filename} is missing: run `dvc repro`, which makes it"
    if isinstance(error, OSError) and error.filename is not None:
        return USER_ERROR, f"{error.filename}: {error.strerror}"
    return FAILED, None


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
