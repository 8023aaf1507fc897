"""The weights of a registered version once more, from its commit and parameters, byte for byte."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hmer.errors import HmerError
from hmer.files import content_digest
from pipeline.dvcfile import PARAMS
from pipeline.env import completed
from pipeline.process import run_group
from pipeline.registry.versions import ORIGIN, on_record, registry
from pipeline.tracking.provenance import LOCK, git
from pipeline.tracking.store import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

OURS = ("DVC_", "HMER_", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "PREFECT_")
"""Environment of this project, which the other one must not inherit."""


@dataclass(frozen=True)
class Recipe:
    """What a version says about its making."""

    label: str
    commit: str
    params: bytes
    weights: str
    sha256: str
    stage: str
    raw: tuple[str, str] | None


def recipe(client: MlflowClient, root: Path, version: ModelVersion) -> Recipe:
    """Read and check what is needed, before anything is computed; the version's run has parameters.

    Raises:
        HmerError: something is not recorded, was never committed, or is not there any more.
    """
    from mlflow.exceptions import MlflowException

    label = f"{version.name} version {version.version}"
    if not version.run_id:
        raise HmerError(f"{label} cannot be reproduced: it does not name its run")
    with registry():
        made = on_record(client, version, ORIGIN)
    for key, told in (
        ("git.commit", "it was not made in a git repository"),
        ("sha256", "it does not say what its weights are"),
    ):
        if not made.get(key):
            raise HmerError(f"{label} cannot be reproduced: {told}")
    if made.get("git.dirty") == "true":
        raise HmerError(
            f"{label} was made from code that was not committed ({made.get('git.changed', '')}): "
            "no commit brings it back"
        )
    commit = made["git.commit"]
    if not git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        raise HmerError(
            f"{label} was made from commit {commit}, which this repository does not have: "
            "`git fetch` it"
        )
    raw = (made["raw.path"], made["raw.digest"]) if "raw.digest" in made else None
    if raw is not None and not (root / raw[0]).exists():
        raise HmerError(f"{label} was made from {raw[0]}, which is not here: bring it back")
    if raw is not None and content_digest(root / raw[0]) != raw[1]:
        raise HmerError(f"{label} was made from other raw data: {raw[0]} had sha256 {raw[1][:12]}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            params = Path(client.download_artifacts(version.run_id, PARAMS, folder)).read_bytes()
    except (MlflowException, OSError) as error:
        first = first_line(error)
        raise HmerError(f"{label}: run {version.run_id} has no {PARAMS}: {first}") from None
    return Recipe(
        label=label,
        commit=commit,
        params=params,
        weights=made["weights.path"],
        sha256=made["sha256"],
        stage=made["weights.stage"],
        raw=raw,
    )


def reproduce(found: Recipe, root: Path, into: Path | None = None) -> tuple[bool, str]:
    """Make the weights again in a worktree of the commit, with caches of its own.

    Args:
        found: what to make.
        root: the project.
        into: where the worktree is put and left; a temporary one is removed.

    Returns:
        Whether they are the same, and that in one line.

    Raises:
        HmerError: the worktree cannot be made, or the pipeline fails in it.
    """
    with _worktree(root, found.commit, into) as tree:
        (tree / PARAMS).write_bytes(found.params)
        if found.raw is not None:
            _bring(root / found.raw[0], tree / found.raw[0], found.raw[1])
        locks = [place / LOCK for place in (tree, root)]
        if all(map(Path.is_file, locks)) and len(set(map(content_digest, locks))) > 1:
            sys.stderr.write(f"warning: {LOCK} has changed since: other library versions\n")
        # A shared or configured cache would hand out the old weights in place of new ones.
        (tree / ".dvc").mkdir(exist_ok=True)
        (tree / ".dvc" / "config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")
        command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache", found.stage]
        if code := run_group(command, tree, environment=_environment(tree)):
            raise HmerError(f"{found.label}: the pipeline ended with code {code} in {tree}")
        made = tree / found.weights
        if not made.is_file():
            raise HmerError(f"{found.label}: the pipeline has not made {found.weights}")
        digest = content_digest(made)
    same = digest == found.sha256
    told = "reproduced, the weights are byte-identical"
    if not same:
        told = "NOT reproduced, other weights came out"
    return same, f"{found.label}: {told} (sha256 {digest})"


def _bring(source: Path, target: Path, digest: str) -> None:
    """The raw data into the worktree, as links where the file system can."""
    if source.resolve() == target.resolve():
        return  # an absolute path
    if target.exists() and content_digest(target) == digest:
        return
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        target.unlink(missing_ok=True)
        _link(str(source), str(target))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _worktree(root: Path, commit: str, into: Path | None) -> Iterator[Path]:
    if into is not None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise HmerError(f"{into} is not an empty folder: name another one")
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        tree = (into or Path(folder) / "project").resolve()
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        if not (tree / ".git").exists():
            raise HmerError(f"git cannot put commit {commit} into {tree}")
        # The project may be a folder of the repository.
        inside = git(root, "rev-parse", "--show-prefix")
        try:
            yield tree / inside
        finally:
            if into is None:
                git(root, "worktree", "remove", "--force", str(tree))


def _environment(tree: Path) -> dict[str, str]:
    """That of a shell that has just entered the worktree."""
    theirs = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    path = [str(tree), *filter(None, [theirs.get("PYTHONPATH")])]
    return completed({**theirs, "PYTHONPATH": os.pathsep.join(path)}, tree)
