"""What every stage does around its one call of the library.

A stage module holds a function of one argument and ends with

    if __name__ == "__main__":
        run_stage("pretrain", main)

The wrapper gives the stage its own section of `params.yaml` and its declared inputs only, publishes
outputs whole, tracks the run, keeps resume state, and turns every foreseeable failure into one line
and an exit code.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.errors import HmerError
from pipeline.declaration import PARAMS, Declaration, declaration
from pipeline.environment import apply_environment, project_root
from pipeline.interruption import Interruption, end_with_owner
from pipeline.locks import hold
from pipeline.outputs import atomic_file, atomic_outputs
from pipeline.resume import RESUME, fingerprint, forget, resume_folder
from pipeline.sections import BASE, INHERITED, Config, leaves, load_section, read_yaml

if TYPE_CHECKING:
    from pipeline.tracking.runs import Tracker

FAILED = 1
"""Exit code for a failure nobody foresaw: a traceback comes with it."""
USER_ERROR = 2
"""Exit code for a mistake in data, parameters or set-up: trying again will not help."""
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Set by torchrun, Lightning and Slurm for the processes they start."""
TRANSIENT = 75
"""Exit code for what may be better in a minute (EX_TEMPFAIL): a server that does not answer."""


@dataclass
class Stage:
    """A stage at work, and the only door to its parameters and files."""

    name: str
    root: Path
    declared: Declaration
    interruption: Interruption = field(default_factory=Interruption)

    @property
    def progress(self) -> bool:
        """Whether progress should be shown (`HMER_PROGRESS=0` silences it)."""
        return os.environ.get("HMER_PROGRESS", "1") != "0"

    def config(self, model: type[Config], section: str | None = None) -> Config:
        """This stage's section of `params.yaml`, or another one that it declares.

        Raises:
            HmerError: unknown key, or a value out of range.
            ValueError: the section is not declared in `dvc.yaml`.
        """
        section = section or self.name
        read = {section}
        if section != BASE and not INHERITED.isdisjoint(model.model_fields):
            read.add(BASE)
        if missing := sorted(read - set(self.declared.params)):
            raise ValueError(f"dvc.yaml: stage {self.name} does not declare params {missing}")
        return load_section(self.root / PARAMS, section, model)

    def input(self, path: str) -> Path:
        """A declared input, which is there.

        Raises:
            HmerError: it is missing.
            ValueError: it is not declared in `dvc.yaml`.
        """
        if not self.declared.reads(path):
            raise ValueError(f"dvc.yaml: {path} is not among the deps of stage {self.name}")
        if not (self.root / path).exists():
            raise HmerError(f"{path} is missing: run `dvc repro {self.name}`, which makes it")
        return self.root / path

    def raw(self, path: str) -> Path:
        """Raw data named in the parameters: a declared input too, by way of the key `raw`.

        Raises:
            HmerError: it is missing, or lies outside the folder that DVC watches.
        """
        found = (self.root / path).resolve()
        watched = [(self.root / dep).resolve() for dep in self.declared.deps]
        if not any(found.is_relative_to(folder) for folder in watched):
            raise HmerError(
                f"{PARAMS}: {path} lies outside the folder that DVC watches for changes; set "
                "`raw` to the folder it is in"
            )
        if not found.exists():
            raise HmerError(f"{PARAMS}: {path} does not exist")
        return found

    @contextmanager
    def outputs(self, path: str) -> Iterator[Path]:
        """A folder to fill, published as the declared output `path` when the block ends well."""
        with atomic_outputs(self._output(path)) as partial:
            yield partial

    @contextmanager
    def output_file(self, path: str) -> Iterator[Path]:
        """The same for a single file."""
        with atomic_file(self._output(path)) as partial:
            yield partial

    @contextmanager
    def tracked(self, config: Mapping[str, Any] | Any) -> Iterator[Tracker]:
        """An MLflow run around the block, opened before any work is done.

        Raises:
            TrackingError: the tracking server does not answer.
        """
        from pipeline.tracking.runs import stage_run

        with stage_run(self, dict(leaves(_plain(config)))) as tracker:
            yield tracker

    @cached_property
    def fingerprint(self) -> str:
        """Of the parameters, data and code that this stage declares."""
        return fingerprint(self.declared, read_yaml(self.root / PARAMS), self.root)

    @cached_property
    def resume(self) -> Path:
        """Folder for resume state; kept when the stage is interrupted, removed when it ends."""
        return resume_folder(self.root, self.name, self.fingerprint)

    def end(self) -> None:
        """Forget the resume state, if there is any."""
        if "resume" in self.__dict__:
            forget(self.resume)

    def _output(self, path: str) -> Path:
        if not self.declared.writes(path):
            raise ValueError(f"dvc.yaml: {path} is not among the outs of stage {self.name}")
        return self.root / path


def run_stage(name: str, body: Callable[[Stage], None]) -> None:
    """Run `body` as the stage `name` in this process, and exit.

    Exit codes: 0; `USER_ERROR`, `TRANSIENT` or the `exit_code` of the `HmerError`; 130 and 143
    after SIGINT and SIGTERM; `FAILED` with a traceback for what nobody foresaw.
    """
    interruption = Interruption()
    interruption.listen()
    root = project_root()
    apply_environment(root)
    helper = is_helper()
    end_with_owner(parent=helper)
    try:
        # DVC's locks do not see a stage that outlived a killed `dvc` and still writes.
        lock = hold(root / RESUME / name / "lock", f"stage {name}")
        with nullcontext() if helper else lock:
            stage = _kind(helper)(name, root, declaration(root, name), interruption)
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


def _kind(helper: bool) -> type[Stage]:
    if not helper:
        return Stage
    from pipeline.scale import HelperStage

    return HelperStage


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


def _plain(config: Any) -> Mapping[str, Any]:
    return config if isinstance(config, Mapping) else config.model_dump(mode="json")
