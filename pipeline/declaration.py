"""What `dvc.yaml` says about a stage: the single declaration that the code reads back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hmer.errors import HmerError
from pipeline.sections import lookup, read_yaml

PARAMS = "params.yaml"
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
        return any(PurePosixPath(path).is_relative_to(dep) for dep in self.deps)

    def writes(self, path: str) -> bool:
        """Whether `path` is a declared output, lies inside one, or is a folder of some."""
        return any(
            PurePosixPath(path).is_relative_to(out) or PurePosixPath(out).is_relative_to(path)
            for out in self.outs
        )


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
