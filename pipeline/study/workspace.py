"""A place for one experiment to run in: the snapshot, its parameters, and the project's cache.

It is a git repository that borrows the project's objects, as that of `dvc exp run --temp` is, but
it stays until the experiment has ended well. So the checkpoints in its `.resume` survive a kill,
and nothing in the project itself is ever changed: not the files, the index, `params.yaml` or
`dvc.lock`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hmer.errors import HmerError
from pipeline.declaration import PARAMS
from pipeline.environment import private
from pipeline.resume import RESUME
from pipeline.study.ledger import HOME
from pipeline.study.plan import Experiment
from pipeline.study.snapshot import Snapshot, git
from pipeline.tracking.provenance import RAW
from pipeline.tracking.runs import PARENT

PERSON = {"user.name": "hmer study", "user.email": "study@localhost"}
"""For the commits of experiments, where git has no name for the person who works here."""


@dataclass(frozen=True)
class Workspace:
    """Where an experiment runs, or will."""

    root: Path
    """The project."""
    experiment: Experiment
    prefix: str

    @property
    def folder(self) -> Path:
        """Of the repository."""
        one = self.experiment
        return self.root / HOME / one.study / f"{one.variant}-{one.seed}"

    @property
    def project(self) -> Path:
        """The project's copy, in the repository."""
        return self.folder / self.prefix

    @property
    def log(self) -> Path:
        """What the tools say."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def record(self) -> Path:
        """The tracked run of an experiment under way."""
        return self.folder.with_name(f"{self.folder.name}.run")

    @property
    def _closing(self) -> Path:
        return self.folder / ".git" / "closing"

    def half_done(self, stage: str) -> bool:
        """Whether it has a checkpoint of the stage."""
        return any((self.project / RESUME / stage).glob("*/*"))

    def prepare(self, snapshot: Snapshot, cache: Path) -> None:
        """Make it, or bring it up to date; checkpoints stay.

        Raises:
            HmerError: git cannot.
        """
        if self._closing.exists():  # killed while DVC was moving files about
            shutil.rmtree(self.folder)
        if not (self.folder / ".git" / "HEAD").is_file():
            self._initialise()
        state = self.folder / ".git" / "prepared"
        wanted = f"{snapshot.commit} {snapshot.tree} {self.experiment.text}"
        if state.is_file() and state.read_text(encoding="utf-8") == wanted:
            return
        state.unlink(missing_ok=True)
        self._git("update-ref", "--no-deref", "HEAD", snapshot.commit)
        self._git("read-tree", "--reset", "-u", snapshot.tree)
        (self.project / PARAMS).write_text(self.experiment.text, encoding="utf-8")
        # What the project ran last need not be in the cache any more, and is looked for there.
        (self.project / "dvc.lock").unlink(missing_ok=True)
        local = f"[cache]\n    dir = {cache}\n"
        (self.project / ".dvc" / "config.local").write_text(local, encoding="utf-8")
        raw = str(self.experiment.params[RAW])
        bring(self.root / raw, self.project / raw)
        state.write_text(wanted, encoding="utf-8")

    def environment(self, threads: int, parent: str | None) -> dict[str, str]:
        """For what runs in it: DVC at home here, everything else at home in the project."""
        mine = dict(os.environ)
        mine.update(
            # Removed with the workspace.
            DVC_SITE_CACHE_DIR=str(private(self.project / ".dvc-site-cache")),
            HMER_PROGRESS="0",
            PYTHONPATH=os.pathsep.join(
                part for part in (str(self.project), os.environ.get("PYTHONPATH", "")) if part
            ),
        )
        mine.setdefault("OMP_NUM_THREADS", str(threads))
        if parent is not None:
            mine[PARENT] = parent
        return mine

    def close(self) -> None:
        """DVC is going to make the commit: what a kill leaves behind then is not to be trusted."""
        self._closing.touch()

    def remove(self) -> None:
        """The experiment has ended well."""
        shutil.rmtree(self.folder)
        self.log.unlink(missing_ok=True)

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet")
        theirs = self.folder / ".git"
        objects = (self.root / git(self.root, "rev-parse", "--git-path", "objects")).resolve()
        (theirs / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (theirs / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        shallow = self.root / git(self.root, "rev-parse", "--git-path", "shallow")
        if shallow.is_file():
            shutil.copy(shallow, theirs / "shallow")
        for key, value in PERSON.items():
            with suppress(HmerError):
                value = git(self.root, "config", key) or value
            self._git("config", key, value)

    def _git(self, *arguments: str) -> str:
        # Named outright: were this repository broken, git would look for one above, and find the
        # project's.
        return git(
            self.folder,
            *arguments,
            GIT_DIR=str(self.folder / ".git"),
            GIT_WORK_TREE=str(self.folder),
        )


def bring(source: Path, target: Path) -> None:
    """Make the raw data reachable without copying it.

    What git does not have becomes one symbolic link. Where git has some of a folder, its files are
    linked one by one: DVC does not look into folders behind links inside a dependency.
    """
    if source.resolve() == target.resolve():
        return  # an absolute path, or there already
    if not target.exists() and not target.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())
    elif source.is_dir():
        for child in source.rglob("*"):
            there = target / child.relative_to(source)
            if child.is_file() and not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                _link(child.resolve(), there)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source)
