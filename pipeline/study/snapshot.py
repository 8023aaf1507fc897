"""The project as it is at this moment, as a git tree: all experiments of a study see the same.

Files that were never committed are taken along, as `dvc exp run` does; the index and the files of
the person who works here are left alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hmer.errors import HmerError
from pipeline.tracking.provenance import CODE, changed_code

CARRIED = (*CODE, "configs")
"""New files are taken along from here; changed ones from everywhere."""


@dataclass(frozen=True)
class Snapshot:
    """A tree beside its baseline."""

    commit: str
    tree: str
    prefix: str
    """Of the project in its repository, with a slash at the end; empty if it is the whole."""
    changed: tuple[str, ...]
    """Code that differs from the commit."""
    files: Mapping[str, str] = field(repr=False)
    """Git's hash of every file of the project."""

    def digest(self, paths: Iterable[str]) -> str:
        """SHA-256 over names and contents of the files at or below the given paths."""
        wanted = set(paths)
        inside = tuple(f"{path}/" for path in wanted)
        digest = hashlib.sha256()
        for path, blob in sorted(self.files.items()):
            if path in wanted or path.startswith(inside):
                digest.update(f"{path}\0{blob}\n".encode())
        return digest.hexdigest()


def take(root: Path) -> Snapshot:
    """The project's files as they are now.

    Raises:
        HmerError: it is in no git repository with a commit.
    """
    try:
        commit = git(root, "rev-parse", "--verify", "HEAD")
    except HmerError:
        raise HmerError(
            "a study needs git, for DVC's experiments are commits: `git init`, then commit"
        ) from None
    carried = [path for path in CARRIED if (root / path).exists()]
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", **index)
        git(root, "add", "--update", ":/", **index)
        if carried:
            git(root, "add", "--", *carried, **index)
        tree = git(root, "write-tree", **index)
    prefix = git(root, "rev-parse", "--show-prefix")
    files = {}
    for line in git(root, "ls-tree", "-r", "-z", "--full-tree", tree).split("\0"):
        about, _, path = line.partition("\t")
        if path and path.startswith(prefix):
            files[path.removeprefix(prefix)] = about.split()[2]
    return Snapshot(commit, tree, prefix, tuple(changed_code(root)), files)


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """What git says.

    Raises:
        HmerError: it fails; its own words are in the message.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise HmerError(f"git cannot be started ({error.strerror}): a study needs it") from None
    if done.returncode:
        told = " ".join(done.stderr.split()) or f"code {done.returncode}"
        raise HmerError(f"git {arguments[0]} failed: {told}")
    return done.stdout.strip()
