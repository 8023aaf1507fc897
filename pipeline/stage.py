"""A stage as a process: its parameters, inputs, outputs, tracked run and resume state."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hmer.errors import HmerError
from hmer.files import atomic_file, atomic_folder, content_digest
from pipeline.dvcfile import PARAMS, Declaration, declaration
from pipeline.env import RESUME, apply_environment, project_root
from pipeline.params import BASE, INHERITED, Config, leaves, load_section, lookup, read_yaml
from pipeline.process import Interruption, end_with_parent, hold

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker


def fingerprint(declared: Declaration, params: Mapping[str, Any], root: Path) -> str:
    """SHA-256 over the declared parameters and the content of the declared dependencies.

    Raises:
        HmerError: a declared dependency is missing.
    """
    digest = hashlib.sha256()
    for key in sorted(declared.params):
        try:
            value = lookup(params, key)
        except KeyError:
            value = None
        digest.update(json.dumps([key, value], sort_keys=True, default=str).encode())
    for dep in sorted(declared.deps):
        if not (root / dep).exists():
            raise HmerError(f"{dep} is missing: run `dvc repro {declared.name}`, which makes it")
        digest.update(json.dumps([dep, content_digest(root / dep)]).encode())
    return digest.hexdigest()


def resume_folder(root: Path, stage: str, print_: str, prune: bool = True) -> Path:
    """The folder for one fingerprint, made; `prune` removes those of others.

    Of several processes that train one model, one does that.
    """
    home = root / RESUME / stage
    folder = home / print_[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for other in home.iterdir() if prune else ():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return folder


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

    def section(self) -> dict[str, Any]:
        """This stage's own section as it is written, unchecked."""
        return dict(read_yaml(self.root / PARAMS).get(self.name) or {})

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

    def outputs(self, path: str) -> AbstractContextManager[Path]:
        """A folder to fill, published as the declared output `path` when the block ends well."""
        return atomic_folder(self._output(path))

    def output_file(self, path: str) -> AbstractContextManager[Path]:
        """The same for a single file."""
        return atomic_file(self._output(path))

    def tracked(self, config: Mapping[str, Any] | Any) -> AbstractContextManager[Tracker]:
        """An MLflow run around the block, opened before any work is done.

        Raises:
            TrackingError: the tracking server does not answer.
        """
        from pipeline.tracking.runs import stage_run

        plain = config if isinstance(config, Mapping) else config.model_dump(mode="json")
        return stage_run(self, dict(leaves(plain)))

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
            shutil.rmtree(self.resume, ignore_errors=True)

    def _output(self, path: str) -> Path:
        if not self.declared.writes(path):
            raise ValueError(f"dvc.yaml: {path} is not among the outs of stage {self.name}")
        return self.root / path


class Silent:
    """Takes everything a tracker takes, and tells nobody."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class HelperStage(Stage):
    """A stage whose outputs go nowhere."""

    @property
    def progress(self) -> bool:
        """The first process shows it."""
        return False

    @contextmanager
    def outputs(self, path: str) -> Iterator[Path]:
        """A folder to fill, which is then removed."""
        self._output(path)
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    @contextmanager
    def tracked(self, config: Mapping[str, Any] | Any) -> Iterator[Tracker]:
        """No run: the first process has one."""
        yield cast("Tracker", Silent())

    @cached_property
    def resume(self) -> Path:
        """The folder of the first process, which alone removes older ones."""
        return resume_folder(self.root, self.name, self.fingerprint, prune=False)

    def end(self) -> None:
        """The resume state belongs to the first process."""


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
        if helper or "DVC_STAGE" in os.environ:  # not a person's shell, which may end before it
            end_with_parent()
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
            if isinstance(error, Exception) and not isinstance(error, MemoryError):
                error.add_note(OURS)
            raise
        sys.stderr.write(f"error: {name}: {message}\n")
        sys.stderr.flush()
        sys.exit(code)


def is_helper() -> bool:
    """Whether this process only helps another one: it is not the first of its training."""
    return any(os.environ.get(name, "0") not in {"", "0"} for name in RANKS)


def verdict(error: BaseException, interruption: Interruption) -> tuple[int, str | None]:
    """Exit code and the line for a person; no line where a traceback says more.

    A file that is missing is no mistake of the user's: those that parameters name were looked for.
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
    if isinstance(error, OSError) and error.filename is not None and error.errno in _MACHINE:
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
