"""The graph of the pipeline, as DVC sees it. There is no second definition."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from hmer.errors import HmerError

DVC = (sys.executable, "-m", "dvc")
NODE = re.compile(r'^"([^"]+)";$')
EDGE = re.compile(r'^"([^"]+)" -> "([^"]+)";$')


def stage_graph(root: Path) -> dict[str, set[str]]:
    """Stages and, for each, the stages it needs, from `dvc dag`.

    Raises:
        HmerError: DVC cannot read the project; its own words are in the message.
    """
    done = subprocess.run(
        [*DVC, "dag", "--dot"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = " ".join(done.stderr.split()).removeprefix("ERROR: ")
        raise HmerError(f"dvc cannot read the pipeline: {told}")
    return parse_dot(done.stdout)


def parse_dot(dot: str) -> dict[str, set[str]]:
    """Nodes and edges (needed -> needing) of `dvc dag --dot`."""
    graph: dict[str, set[str]] = {}
    for line in map(str.strip, dot.splitlines()):
        if edge := EDGE.match(line):
            graph.setdefault(edge[1], set())
            graph.setdefault(edge[2], set()).add(edge[1])
        elif node := NODE.match(line):
            graph.setdefault(node[1], set())
    return graph


def running_order(graph: Mapping[str, set[str]]) -> list[str]:
    """Every stage after all that it needs; among equals, by name."""
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def anything_to_do(root: Path) -> bool:
    """Whether `dvc repro` would run a stage."""
    done = subprocess.run(
        [*DVC, "status", "--json"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.returncode != 0 or done.stdout.strip() != "{}"
