"""Where a result comes from and what it cost: code, parameters, environment, data, device, time."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.declaration import PARAMS, Declaration, declarations
from pipeline.resume import content_digest
from pipeline.sections import read_yaml

CODE = ("hmer", "pipeline", "dvc.yaml", "requirements.lock")
"""What is compared with git, besides the declared dependencies."""
LOCK = "requirements.lock"
LISTED = 10
RAW = "raw"
"""The key of `params.yaml` that names the folder with the raw data."""


def origin(root: Path) -> dict[str, str]:
    """Tags that say what a run was made from.

    `git.dirty` is about code: parameters are kept with the run, and outputs that git tracks
    change by the very run.
    """
    found = {"python": platform.python_version(), "environment.installed": installed_digest()}
    commit = git(root, "rev-parse", "HEAD")
    if commit:
        changed = changed_code(root)
        found["git.commit"] = commit
        found["git.dirty"] = str(bool(changed)).lower()
        if changed:
            more = ", ..." if len(changed) > LISTED else ""
            found["git.changed"] = ", ".join(changed[:LISTED]) + more
    for key, name in (("dvc.lock", "dvc.lock"), ("environment.lock", LOCK), ("params", PARAMS)):
        if (root / name).is_file():
            found[key] = content_digest(root / name)
    return found


def changed_code(root: Path) -> list[str]:
    """Tracked or new files of the code, or of dependencies in git, that differ from the commit."""
    try:
        declared = list(declarations(root).values())
    except HmerError:
        declared = []
    outs = [out for stage in declared for out in stage.outs]
    deps = {dep for stage in declared for dep in stage.deps if not within(dep, outs)}
    paths = sorted(path for path in {*CODE, *deps} if (root / path).exists() and path != PARAMS)
    inside = [path for path in paths if (root / path).resolve().is_relative_to(root.resolve())]
    told = git(root, "status", "--porcelain", "--untracked-files=all", "--", *inside, strip=False)
    return [line[3:] for line in told.splitlines() if line]


def within(path: str, folders: list[str]) -> bool:
    """Whether `path` is one of `folders` or lies in one."""
    return any(Path(path).is_relative_to(folder) for folder in folders)


def raw_data(root: Path) -> tuple[str, str] | None:
    """Path and digest of the raw data; None where the parameters name none, or it is not there."""
    try:
        name = read_yaml(root / PARAMS).get(RAW)
    except HmerError:
        return None
    if not isinstance(name, str) or not (root / name).exists():
        return None
    return name, content_digest(root / name)


def upstream(declared: Mapping[str, Declaration]) -> dict[str, set[str]]:
    """For each stage, the stages whose outputs it reads."""
    return {
        name: {
            other.name
            for other in declared.values()
            if other.name != name and any(within(dep, list(other.outs)) for dep in stage.deps)
        }
        for name, stage in declared.items()
    }


def ancestors(declared: Mapping[str, Declaration], name: str) -> set[str]:
    """All stages that `name` rests on."""
    direct = upstream(declared)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = direct.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


@cache
def installed_digest() -> str:
    """SHA-256 over names and versions of all installed distributions."""
    pairs = sorted({f"{d.metadata['Name']}=={d.version}".lower() for d in distributions()})
    return hashlib.sha256("\n".join(pairs).encode()).hexdigest()


def device() -> str:
    """The device that this process computes on; torch is asked only where it is loaded anyway."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        count = torch.cuda.device_count()
        return f"{count} x {torch.cuda.get_device_name(0)}"
    return f"{cores()} cores of {_processor()}"


def cores() -> int:
    """Processor cores that this process may use."""
    # Not on macOS, where a process cannot be bound to some of them.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


class Cost:
    """Time and memory from its making on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu = _cpu_seconds()

    def so_far(self) -> dict[str, float]:
        """Seconds on the clock and of the processor (with children), and peak memory in MiB."""
        values = {
            "cost.seconds": time.perf_counter() - self._began,
            "cost.cpu_seconds": _cpu_seconds() - self._cpu,
            "cost.peak_mib": _peak_bytes() / 2**20,
        }
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            values["cost.peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
        return values


def git(root: Path, *arguments: str, strip: bool = True) -> str:
    """What git says; nothing where there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip() if strip else done.stdout


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_bytes() -> int:
    """Largest memory of this process: getrusage gives KiB, on macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
