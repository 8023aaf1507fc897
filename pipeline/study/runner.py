"""Running a study: shared stages first and once, as many processes as wanted, any time again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from hmer.ingest.summary import SUMMARY
from pipeline.flow.graph import DVC
from pipeline.sections import read_yaml
from pipeline.study.experiments import Record, fetch, metrics
from pipeline.study.graph import Graph, Work
from pipeline.study.jobs import Job, end_all, wait_any
from pipeline.study.ledger import Ledger
from pipeline.study.plan import Experiment
from pipeline.study.snapshot import Snapshot
from pipeline.study.tracking import Runs
from pipeline.study.workspace import Workspace
from pipeline.tracking.provenance import cores, device

DATASET = "ingest"
"""The stage whose output is the data set of an experiment."""
CLOSE = """
"$0" -m dvc repro "$1" && exec "$0" -m dvc exp run "$1" --name "$2" --message "$3"
"""
"""First what other workspaces have made is brought here from the cache, then it is committed."""


@dataclass(frozen=True)
class Setup:
    """What a study is run with."""

    root: Path
    snapshot: Snapshot
    graph: Graph
    target: str
    results: str
    split: str
    jobs: int
    say: Callable[[str], None]

    @property
    def threads(self) -> int:
        """For each process: the cores, shared out, unless the person who calls has said."""
        given = os.environ.get("OMP_NUM_THREADS", "")
        return int(given) if given.isdigit() else max(1, cores() // self.jobs)

    @property
    def machine(self) -> dict[str, Any]:
        """For the record."""
        return {
            "cores": cores(),
            "device": device(),
            "jobs": self.jobs,
            "threads": self.threads,
        }


@dataclass(frozen=True)
class Active:
    """A stage that runs for one or more experiments; or, without work, the end of one."""

    work: Work | None
    space: Workspace
    job: Job


@dataclass
class Runner:
    """Goes from stage to stage and from experiment to experiment until all are done or failed."""

    setup: Setup
    ledger: Ledger
    runs: Runs
    todo: Sequence[Experiment]
    failed: dict[str, str] = field(default_factory=dict)
    """By the experiment's name, why."""
    _active: dict[str, Active] = field(default_factory=dict)
    """By the name of the experiment in whose workspace it runs."""
    _ended: set[str] = field(default_factory=set)
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Run what is to do.

        Any exception (Ctrl-C, SIGTERM) ends all child processes before it goes on; the next start
        goes on from there.
        """
        self._cache = cache_folder(self.setup.root)
        self._spaces = {
            one.name: Workspace(self.setup.root, one, self.setup.snapshot.prefix)
            for one in self.todo
        }
        try:
            while True:
                self._start()
                if not self._active:
                    return
                for job in wait_any([active.job for active in self._active.values()]):
                    self._end(job)
        except BaseException:
            self._stop()
            raise

    def _start(self) -> None:
        """Fill the free places, in the order of the experiments."""
        for one in self.todo:
            if len(self._active) >= self.setup.jobs:
                return
            if one.name in self._ended or one.name in self.failed:
                continue
            keys = self.setup.graph.needs[one.name].values()
            left = [self.setup.graph.work[key] for key in keys if not self.ledger.done(key)]
            for work in left:
                host = self._host(work)
                if len(self._active) < self.setup.jobs and host is not None:
                    self._launch(work, host)
            if not left and one.name not in self._active:
                self._launch(None, one)

    def _host(self, work: Work) -> Experiment | None:
        """In whose workspace a stage is run now, if it can be: best where its checkpoint is."""
        running = [active.work for active in self._active.values()]
        if any(other is not None and work.like == other.like for other in running):
            return None
        if not all(self.ledger.done(key) for key in work.needs):
            return None
        names = [one.name for one in work.experiments if one.name in self._spaces]
        free = [
            name
            for name in names
            if name not in self._active and name not in self._ended and name not in self.failed
        ]
        kept = [name for name in free if self._spaces[name].half_done(work.stage)]
        chosen = next(iter(kept or free), None)
        return None if chosen is None else self._spaces[chosen].experiment

    def _launch(self, work: Work | None, host: Experiment) -> None:
        setup, space = self.setup, self._spaces[host.name]
        space.prepare(setup.snapshot, self._cache)
        parent = self.runs.open(space)
        if work is None:
            space.close()
            message = self._record(host).message()
            command = ["sh", "-c", CLOSE, sys.executable, setup.target, host.name, message]
        else:
            command = [*DVC, "repro", work.stage]
            self._say(host, f"{work.stage} ...")
        job = Job.launch(
            command, space.project, space.log, space.environment(setup.threads, parent)
        )
        self._active[host.name] = Active(work, space, job)

    def _end(self, job: Job) -> None:
        name = next(name for name, active in self._active.items() if active.job is job)
        active = self._active.pop(name)
        work, space = active.work, active.space
        if job.child.returncode:
            self._fail(active, job.reason())
        elif work is not None:
            ran = f"Running stage '{work.stage}'" in job.told()
            data = _dataset(space.project) if work.stage == DATASET else None
            self.ledger.finish(work.key, job.seconds if ran else None, data)
            told = f"in {job.seconds:.0f} s" if ran else "found in the cache"
            self._say(space.experiment, f"{work.stage} {told}")
        else:
            try:
                self._finish(space)
            except HmerError as error:
                self._fail(active, str(error))

    def _finish(self, space: Workspace) -> None:
        """Take the experiment over from its workspace, which is not needed any more."""
        setup, one = self.setup, space.experiment
        commit = fetch(setup.root, space.folder, one.name)
        self.runs.finish(space, commit, metrics(setup.root, commit, setup.results, setup.split))
        self.ledger.succeed(one.name)
        self._ended.add(one.name)
        space.remove()
        self._say(one, "finished")

    def _fail(self, active: Active, reason: str) -> None:
        where = "dvc exp run" if active.work is None else active.work.stage
        told = reason if reason.startswith(where) else f"{where}: {reason}"
        log = active.space.log.relative_to(self.setup.root)
        affected = [active.space.experiment] if active.work is None else active.work.experiments
        for one in affected:
            if one.name in self._spaces and one.name not in self.failed:
                self.failed[one.name] = told
                self.ledger.fail(one.name, self.setup.graph.settings[one.name], told)
                self.runs.fail(self._spaces[one.name], told)
                self._say(one, f"FAILED: {told} (see {log})")

    def _stop(self) -> None:
        end_all([active.job for active in self._active.values()])
        for active in self._active.values():
            if active.work is not None:
                self.ledger.spend(active.work.key, active.job.seconds)
        self.runs.stop(self._spaces)

    def _record(self, one: Experiment) -> Record:
        setup = self.setup
        done = {s: self.ledger.done(key) or {} for s, key in setup.graph.needs[one.name].items()}
        return Record(
            study=one.study,
            variant=one.variant,
            seed=one.seed,
            settings=setup.graph.settings[one.name],
            code=setup.graph.code,
            commit=setup.snapshot.commit,
            changed=setup.snapshot.changed,
            machine=setup.machine,
            dataset=done.get(DATASET, {}).get("data"),
            seconds={stage: known.get("seconds") for stage, known in done.items()},
        )

    def _say(self, one: Experiment, what: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        count = f"{len(self._ended) + len(self.failed)}/{len(self.todo)}"
        self.setup.say(f"{minutes:3d}:{seconds:02d} [{count}] {one.variant} {one.seed}: {what}")


def cache_folder(root: Path) -> Path:
    """Where DVC keeps the project's data.

    Raises:
        HmerError: DVC cannot read the project.
    """
    done = subprocess.run(
        [*DVC, "cache", "dir"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = " ".join(done.stderr.split()).removeprefix("ERROR: ")
        raise HmerError(f"dvc cannot read the project: {told}")
    return Path(done.stdout.strip())


def _dataset(project: Path) -> Mapping[str, Any] | None:
    """Digest and counts of the data set that `ingest` has left in a workspace."""
    lock = read_yaml(project / "dvc.lock")
    outs = lock.get("stages", {}).get(DATASET, {}).get("outs") or []
    for out in outs:
        summary = project / str(out["path"]) / SUMMARY
        if summary.is_file():
            counted = json.loads(summary.read_text(encoding="utf-8"))
            return {
                "digest": out["md5"],
                "expressions": {
                    name: split["samples"] for name, split in counted["splits"].items()
                },
            }
    return None
