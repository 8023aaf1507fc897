"""The graph of the pipeline, as DVC sees it. There is no second definition."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from pipeline.flow.ask import ask

DVC = (sys.executable, "-m", "dvc")

LOOK = """
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
"""Graph and state of all stages from one process: DVC's imports cost more than its answers."""


@dataclass(frozen=True, slots=True)
class Look:
    """What DVC says of the pipeline.

    Attributes:
        graph: stages and, for each, the stages it needs.
        to_do: those that may have to run: changed themselves, or standing on one that is.
    """

    graph: Mapping[str, set[str]]
    to_do: frozenset[str]


def look(root: Path) -> Look:
    """Ask DVC for the graph and, once for all stages, for what has changed.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    found = ask(
        root, LOOK, lambda said: f"dvc cannot read the pipeline: {_complaint(root) or said[-500:]}"
    )
    graph = {stage: set(needs) for stage, needs in found["needs"].items()}
    # Where DVC cannot tell, for instance because another DVC is at work, each stage is asked.
    changed = graph if found["changed"] is None else found["changed"]
    return Look(graph, frozenset(downstream(graph, set(changed))))


def _complaint(root: Path) -> str:
    """What is wrong, as DVC's own command line explains it."""
    done = subprocess.run(
        [*DVC, "dag", "--dot"], cwd=root, capture_output=True, text=True, check=False
    )
    return " ".join(done.stderr.split()).removeprefix("ERROR: ") if done.returncode else ""


def downstream(graph: Mapping[str, Set[str]], changed: Set[str]) -> set[str]:
    """`changed`, and all that stands on it."""
    found: set[str] = set()
    for stage in running_order(graph):
        if stage in changed or graph[stage] & found:
            found.add(stage)
    return found


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
