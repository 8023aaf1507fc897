"""Finished experiments of a study, as DVC keeps them: commits under `refs/exps`.

The message of each commit says what it was made of, so that it is recognised for what it is: here,
after a clean-up, and on another machine that has pulled it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.sections import leaves
from pipeline.study.snapshot import git

REFS = "refs/exps"


@dataclass(frozen=True)
class Record:
    """What an experiment was made of, and what it cost."""

    study: str
    variant: str
    seed: int
    settings: str
    """Digest of its parameters."""
    code: str
    """Digest of code and raw data."""
    commit: str
    """The baseline."""
    changed: Sequence[str]
    """Code that differed from the baseline: it is in the experiment's own commit."""
    machine: Mapping[str, Any]
    dataset: Mapping[str, Any] | None
    seconds: Mapping[str, float | None]
    """By stage, wherever it was computed first; None where it came from an older cache."""

    def message(self) -> str:
        """The message of its commit."""
        title = f"{self.study}: {self.variant}, seed {self.seed}"
        return f"{title}\n\n{json.dumps(asdict(self), sort_keys=True)}"


@dataclass(frozen=True)
class Finished:
    """An experiment that DVC keeps."""

    commit: str
    ref: str
    record: Record = field(repr=False)


def finished(root: Path, name: str) -> list[Finished]:
    """All experiments of that name which a study has made, on whatever baseline; newest first."""
    told = git(
        root,
        "for-each-ref",
        "--sort=-committerdate",
        "--format=%(objectname)%00%(refname)%00%(contents)%00%00",
        f"{REFS}/*/*/{name}",
    )
    found = []
    for entry in told.split("\0\0"):
        commit, _, rest = entry.strip().partition("\0")
        ref, _, message = rest.partition("\0")
        record = parse(message)
        if record is not None:
            found.append(Finished(commit, ref, record))
    return found


def parse(message: str) -> Record | None:
    """The record in a commit message; None where there is none."""
    try:
        return Record(**json.loads(message.strip().rpartition("\n")[2]))
    except (ValueError, TypeError):
        return None


def choose(found: Sequence[Finished], settings: str, code: str | None) -> Finished | None:
    """The newest with these settings, and of this code if one is given."""
    for one in found:
        if one.record.settings == settings and code in (None, one.record.code):
            return one
    return None


def metrics(root: Path, commit: str, path: str, split: str) -> dict[str, float]:
    """Numbers of one set under dotted names, from a file of results in the experiment's commit.

    Raises:
        HmerError: the commit has no such file, or the file no such set.
    """
    prefix = git(root, "rev-parse", "--show-prefix")
    values = json.loads(git(root, "show", f"{commit}:{prefix}{path}"))
    if split:
        if split not in values:
            raise HmerError(f"{path} has no set {split!r}, only {', '.join(values) or 'none'}")
        values = values[split]
    return {
        name: float(value)
        for name, value in leaves(values)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def fetch(root: Path, workspace: Path, name: str) -> str:
    """Bring an experiment from its workspace into the project.

    Returns:
        Its commit.
    """
    ref = git(workspace, "for-each-ref", "--format=%(refname)", f"{REFS}/*/*/{name}")
    if not ref or "\n" in ref:
        raise HmerError(f"DVC has not kept the experiment {name}")
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--force")
    git(root, "fetch", *options, str(workspace), f"{ref}:{ref}")
    return git(root, "rev-parse", ref)
