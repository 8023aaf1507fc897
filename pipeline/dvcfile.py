"""The declared graph: what `dvc.yaml` says of the stages, and what DVC finds of their state.

DVC stays out of this process: its modules are no public interface, and importing them costs more
than its answers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from hmer.errors import HmerError
from pipeline.params import lookup, read_yaml

PARAMS = "params.yaml"
LOCK = "dvc.lock"
EVALUATION = "reports/evaluation.json"
REGISTRATION = "reports/registration.json"
DVC = (sys.executable, "-m", "dvc")
CODE = ("hmer", "pipeline")
"""Folders with the code of this project."""
SHIPPED = "hmer/shipped"
"""The recogniser that comes with the package: weights, not code."""
BUSY = re.compile(r"is busy, it is being blocked|Unable to acquire lock")
TEMPLATE = re.compile(r"\$\{\s*([\w.]+)\s*\}")


@dataclass(frozen=True)
class Declaration:
    """Dependencies, outputs and parameters of one stage, with templates filled in."""

    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]

    def reads(self, path: str) -> bool:
        """Whether `path` is a declared dependency, or lies inside one."""
        return within(path, self.deps)

    def writes(self, path: str) -> bool:
        """Whether `path` is a declared output, lies inside one, or is a folder of some."""
        return within(path, self.outs) or any(within(out, [path]) for out in self.outs)


def declarations(root: Path) -> dict[str, Declaration]:
    """All stages of the project, in the order of `dvc.yaml`.

    Raises:
        HmerError: no readable `dvc.yaml`, or a template names a parameter that is not there.
    """
    stages = read_yaml(root / "dvc.yaml").get("stages") or {}
    if not isinstance(stages, dict) or not all(isinstance(s, dict) for s in stages.values()):
        raise HmerError("dvc.yaml: `stages` must hold a mapping for each stage")
    params = read_yaml(root / PARAMS) if (root / PARAMS).is_file() else {}
    return {name: _declaration(name, stage, params) for name, stage in stages.items()}


def declaration(root: Path, name: str) -> Declaration:
    """One stage.

    Raises:
        HmerError: as `declarations`, or there is no such stage.
    """
    found = declarations(root)
    if name not in found:
        raise HmerError(f"dvc.yaml has no stage {name!r}, only {', '.join(found) or 'none'}")
    return found[name]


def _declaration(name: str, stage: Mapping[str, Any], params: Mapping[str, Any]) -> Declaration:
    def names(*keys: str) -> tuple[str, ...]:
        entries = [entry for key in keys for entry in stage.get(key) or []]
        # An output with options is a mapping of one path to them.
        paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
        return tuple(_fill(path, params) for path in paths)

    return Declaration(name, names("deps"), names("outs", "metrics", "plots"), names("params"))


def _fill(text: str, params: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        try:
            return str(lookup(params, match[1]))
        except KeyError:
            raise HmerError(f"dvc.yaml uses ${{{match[1]}}}, which {PARAMS} does not set") from None

    return TEMPLATE.sub(value, text)


def is_code(dep: str) -> bool:
    """Whether a dependency is code of this project."""
    return dep.split("/")[0] in CODE and not within(dep, [SHIPPED])


def within(path: str, folders: Sequence[str]) -> bool:
    """Whether `path` is one of `folders` or lies in one."""
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def upstream(declared: Mapping[str, Declaration]) -> dict[str, set[str]]:
    """For each stage, the stages whose outputs it reads."""
    return {
        name: {
            other.name
            for other in declared.values()
            if other.name != name and any(within(dep, other.outs) for dep in stage.deps)
        }
        for name, stage in declared.items()
    }


def read_report(path: Path) -> dict[str, Any]:
    """What a stage has reported in a JSON file; nothing where there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def scored_sets(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics of each set, of all that an evaluation has written."""
    return {name: row for name, row in values.items() if isinstance(row, dict) and "exprate" in row}


def locked_outs(root: Path) -> dict[str, str]:
    """MD5 of outputs by path, as `dvc.lock` has them; none without."""
    try:
        stages = (read_yaml(root / LOCK).get("stages") or {}).values()
    except HmerError:
        return {}
    outs = [out for stage in stages for out in stage.get("outs") or []]
    return {str(out["path"]): str(out.get("md5", "")) for out in outs if "path" in out}


def running_order(graph: Mapping[str, Set[str]]) -> list[str]:
    """Every stage after all that it needs, else in the order given."""
    sorter = TopologicalSorter({stage: [n for n in graph if n in graph[stage]] for stage in graph})
    return list(sorter.static_order())


def to_do(root: Path) -> set[str]:
    """The stages that may have to run: changed themselves, or needing one that is.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    try:
        changed = set(status(root))
    except HmerError as error:
        if not BUSY.search(str(error)):
            raise
        return set(declarations(root))  # DVC cannot tell: each stage is asked
    graph = upstream(declarations(root))
    for stage in running_order(graph):
        if graph[stage] & changed:
            changed.add(stage)
    return changed


def given(root: Path) -> set[str]:
    """What the stages read and none of them makes.

    Raises:
        HmerError: as `declarations`.
    """
    declared = declarations(root).values()
    outs = [out for stage in declared for out in stage.outs]
    return {dep for stage in declared for dep in stage.deps if not within(dep, outs)}


def given_data(root: Path) -> dict[str, str]:
    """Data that the stages read and none makes, with how they differ from `dvc.lock`, "" if not.

    Raises:
        HmerError: as `to_do`, or DVC is busy.
    """
    paths = {path for path in given(root) if not is_code(path)}
    readers = [s.name for s in declarations(root).values() if not paths.isdisjoint(s.deps)]
    found = dict.fromkeys(sorted(paths), "")
    for change in (change for changes in status(root, *readers).values() for change in changes):
        if isinstance(change, dict):
            found |= {p: how for p, how in change.get("changed deps", {}).items() if p in paths}
    return found


def status(root: Path, *stages: str) -> dict[str, list[Any]]:
    """What DVC finds changed, by stage; of all of them, or of those named.

    Raises:
        HmerError: DVC cannot read the project, or is busy; its own words are in the message.
    """
    command = [*DVC, "status", "--json", *stages]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split()).removeprefix("ERROR: ")
        raise HmerError(f"dvc cannot read the pipeline: {reason}")
    return dict(json.loads(done.stdout))
