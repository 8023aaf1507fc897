"""The declared graph: what `dvc.yaml` says of the stages, and what DVC finds of their state.

DVC stays out of this process: its modules are no public interface, and importing them costs more
than its answers.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence, Set
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


def ancestors(declared: Mapping[str, Declaration], name: str) -> set[str]:
    """All stages whose results `name` needs."""
    direct = upstream(declared)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = direct.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def read_report(path: Path) -> dict[str, Any]:
    """What a stage has reported in a JSON file; nothing where there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def scored_sets(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics of each set, of all that an evaluation has written."""
    return {name: row for name, row in values.items() if isinstance(row, dict) and "exprate" in row}


def locked(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """MD5 of dependencies and of outputs by path, as `dvc.lock` has them; none without."""
    try:
        stages = (read_yaml(root / LOCK).get("stages") or {}).values()
    except HmerError:
        return {}, {}

    def hashes(kind: str) -> dict[str, str]:
        entries = [entry for stage in stages for entry in stage.get(kind) or []]
        return {str(e["path"]): str(e.get("md5", "")) for e in entries if "path" in e}

    return hashes("deps"), hashes("outs")


@dataclass(frozen=True, slots=True)
class Look:
    """State of the pipeline.

    Attributes:
        graph: stages and, for each, the stages it needs.
        to_do: those that may have to run: changed themselves, or needing one that is.
    """

    graph: Mapping[str, set[str]]
    to_do: frozenset[str]


def look(root: Path) -> Look:
    """Ask DVC for the graph and, once for all stages, for what has changed.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    found = _ask(root, _GRAPH, lambda error: _complaint(root) or error[-500:])
    graph = {stage: set(needs) for stage, needs in found["needs"].items()}
    # Where DVC cannot tell, for instance because another DVC is at work, each stage is asked.
    changed = set(graph if found["changed"] is None else found["changed"])
    to_do: set[str] = set()
    for stage in running_order(graph):
        if stage in changed or graph[stage] & to_do:
            to_do.add(stage)
    return Look(graph, frozenset(to_do))


def raw_hashes(root: Path) -> dict[str, str | None]:
    """MD5 of all that the stages read and no stage makes, code apart; None for what is missing.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    found = _ask(root, _RAW, lambda error: (error.strip() or "no message").splitlines()[-1])
    return {path: value for path, value in found.items() if not is_code(path)}


def running_order(graph: Mapping[str, Set[str]]) -> list[str]:
    """Every stage after all that it needs; among equals, by name."""
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


_GRAPH = """
import json, sys
from dvc.exceptions import DvcException
from dvc.repo import Repo
repo = Repo(sys.argv[1])
graph = repo.index.graph
found = {"needs": {s.addressing: [n.addressing for n in graph[s]] for s in graph}}
try:
    found["changed"] = list(repo.status())
except DvcException:
    found["changed"] = None
json.dump(found, sys.stdout)
"""

_RAW = """
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


def _ask(root: Path, script: str, reason: Callable[[str], str]) -> Any:
    """Run a script on DVC's library in a process of its own; its answer is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise HmerError(f"dvc cannot read the pipeline: {reason(done.stderr)}")
    return json.loads(done.stdout)


def _complaint(root: Path) -> str:
    """What is wrong, as DVC's own command line explains it."""
    done = subprocess.run(
        [*DVC, "dag", "--dot"], cwd=root, capture_output=True, text=True, check=False
    )
    return " ".join(done.stderr.split()).removeprefix("ERROR: ") if done.returncode else ""
