"""A registered version made again from its commit: byte-identical, or a clear refusal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hmer.errors import HmerError
from hmer.files import content_digest
from pipeline.registry.reproduce import Recipe, recipe, reproduce
from pipeline.tracking.provenance import git, origin, raw_data
from tests.pipeline.conftest import Toy, commit_all, toy_project

WEIGHTS = "out/second/value.txt"


class Artifacts:
    """What the version's run has kept."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def list_artifacts(self, run_id: str) -> list[Any]:
        return [SimpleNamespace(path=name) for name in self.files]

    def download_artifacts(self, run_id: str, path: str, to: str) -> str:
        (Path(to) / path).write_bytes(self.files[path])
        return str(Path(to) / path)


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Toy, dict[str, str]]]:
    """A toy in git whose second stage is made, and the tags of a version of it."""
    toy = toy_project(tmp_path_factory.mktemp("versioned") / "toy")
    config = toy.root / ".dvc/config"
    config.write_text(config.read_text().replace("    no_scm = true\n", ""))
    toy.params(second={"text": "?"})
    params = toy.root / "params.yaml"
    params.write_text(params.read_text() + "raw: raw.txt\n")
    (toy.root / ".gitignore").write_text(".resume\n.dvc-site-cache\npid-*\n/out\n")
    commit_all(toy.root)
    # Parameters that were never committed: the run has kept them.
    params.write_text(params.read_text().replace("'?'", "'!'"))
    done = toy.run("-m", "dvc", "repro", "second")
    assert done.returncode == 0, done.stderr
    raw = raw_data(toy.root)
    assert raw is not None
    made = {
        **origin(toy.root),
        "sha256": content_digest(toy.root / WEIGHTS),
        "weights.path": WEIGHTS,
        "weights.stage": "second",
        "raw.path": raw[0],
        "raw.digest": raw[1],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HMER_PARENT_RUN", "DVC_STAGE"):
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", toy.environment["PYTHONPATH"])
        yield toy, made


def asked(toy: Toy, made: dict[str, str], run: str = "1", **other: str) -> Recipe:
    kept = {
        "params.yaml": (toy.root / "params.yaml").read_bytes(),
        "version.json": json.dumps({**made, **other}).encode(),
    }
    version: Any = SimpleNamespace(name="toy", version=7, run_id=run)
    client: Any = Artifacts(kept)
    return recipe(client, toy.root, version)


@pytest.mark.medium
def test_byte_identical_and_not(versioned: tuple[Toy, dict[str, str]], tmp_path: Path) -> None:
    toy, tags = versioned
    assert (toy.root / WEIGHTS).read_text() == "ink!"
    before = dict(os.environ)
    same, told = reproduce(asked(toy, tags), toy.root)
    assert same and told.startswith("toy version 7: reproduced, the weights are byte-identical")
    assert dict(os.environ) == before
    # Nothing is left of the temporary worktree.
    assert len(git(toy.root, "worktree", "list").splitlines()) == 1

    into = tmp_path / "kept"
    same, told = reproduce(asked(toy, tags, sha256="0" * 64), toy.root, into)
    assert not same and "NOT reproduced" in told
    assert (into / WEIGHTS).read_text() == "ink!"
    assert (into / ".dvc/cache").is_dir()
    with pytest.raises(HmerError, match="not an empty folder"):
        reproduce(asked(toy, tags), toy.root, into)


@pytest.mark.medium
def test_what_cannot_be_reproduced_is_said_before_anything_runs(
    versioned: tuple[Toy, dict[str, str]],
) -> None:
    toy, tags = versioned
    for change, because in (
        ({"git.commit": "0" * 40}, "which this repository does not have"),
        ({"git.commit": ""}, "not made in a git repository"),
        ({"git.dirty": "true", "git.changed": "toy.py"}, r"not committed \(toy.py\)"),
        ({"raw.digest": "f" * 64}, "made from other raw data: raw.txt"),
        ({"raw.path": "gone", "raw.digest": "f"}, "made from gone, which is not here"),
        ({"run": ""}, "does not name its run"),
    ):
        with pytest.raises(HmerError, match=because) as caught:
            asked(toy, tags, **change)
        assert "\n" not in str(caught.value)
