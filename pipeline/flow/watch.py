"""Retraining on new data: the raw data are hashed as DVC hashes them, again and again.

DVC remembers sizes and times of files, so that a look at unchanged data costs no reading. Each
look is a process of its own (half a second): DVC stays out of the process that serves.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.dependencies import is_code
from pipeline.flow.ask import ask
from pipeline.sections import lookup, read_yaml

LOCK = "dvc.lock"
Hashes = Mapping[str, str | None]
"""Raw inputs and their hashes; None for one that is not there."""

LOOK = """
import json, sys
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
repo = Repo(sys.argv[1])
made = tuple(out.fs_path for out in repo.index.outs)
found = {}
for stage in repo.index.stages:
    for dep in stage.deps:
        inside = dep.fs_path.startswith(tuple(out + "/" for out in made))
        if not (isinstance(dep, ParamsDependency) or dep.fs_path in made or inside):
            found[dep.def_path] = dep.get_hash().value if dep.exists else None
json.dump(found, sys.stdout)
"""
"""Hashes of all that the stages read and no stage makes."""


def raw_hashes(root: Path) -> Hashes:
    """Hashes of the raw data (inputs of the pipeline that are not code), by path.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    found = ask(root, LOOK, lambda said: f"dvc cannot look at the raw data: {_last_line(said)}")
    return {path: value for path, value in found.items() if not is_code(path)}


def _last_line(said: str) -> str:
    """Where Python puts the reason."""
    return (said.strip() or "no message").splitlines()[-1]


def last_hashes(root: Path, paths: Mapping[str, Any]) -> dict[str, str | None]:
    """What `dvc.lock` says about these paths: the data of the last run."""
    if not (root / LOCK).is_file():
        return dict.fromkeys(paths)
    stages = read_yaml(root / LOCK).get("stages", {})
    known: dict[str, str | None] = {}
    for name in stages:
        for dep in lookup(stages, name).get("deps", ()):
            known[dep["path"]] = dep.get("md5")
    return {path: known.get(path) for path in paths}


@dataclass
class Watch:
    """Decides when data are new: once for each state of the data, and only when it has settled."""

    used: dict[str, str | None]
    """Hashes for which a run was last made or asked for."""
    tell: Callable[[str], None]
    _before: Hashes | None = None
    _missing: set[str] = field(default_factory=set)

    def see(self, now: Hashes) -> bool:
        """Take in a look at the data; whether to run now.

        Data count once two looks agree: a copy that is under way is left to finish.
        """
        missing = {path for path, value in now.items() if value is None}
        for path in sorted(missing - self._missing):
            self.tell(f"{path} is not there: waiting for it")
        self._missing = missing
        settled, self._before = now == self._before, now
        if missing or not settled or now == self.used:
            return False
        self.used = dict(now)
        return True


def watch(
    root: Path, every: float, trigger: Callable[[], None], stop: threading.Event | None = None
) -> None:
    """Call `trigger` whenever the raw data have changed since the last run, until `stop`.

    Args:
        root: the project.
        every: seconds between two looks.
        trigger: starts a run. Where it fails, it is tried again at the next look.
        stop: ends the watch.
    """
    stop = stop or threading.Event()
    seen: Watch | None = None
    troubled = ""
    while not stop.is_set():
        try:
            now = raw_hashes(root)
            seen = seen or Watch(last_hashes(root, now), _say)
            before = dict(seen.used)
            if seen.see(now):
                changed = ", ".join(sorted(p for p in now if now[p] != before.get(p)))
                _say(f"new data in {changed}: retraining")
                try:
                    trigger()
                except BaseException:
                    seen.used = before
                    raise
        except Exception as error:  # a folder being moved, a server that restarts: it may pass
            first = (str(error) or type(error).__name__).splitlines()[0]
            if first != troubled:
                _say(f"{first}; looking again later")
            troubled = first
        stop.wait(every)


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()
