"""Snapshot and workspace: all of the project as it is, and nothing of the project changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hmer.errors import HmerError
from pipeline.study.graph import graph
from pipeline.study.plan import Experiment
from pipeline.study.snapshot import take
from pipeline.study.workspace import Workspace, bring

if TYPE_CHECKING:
    from tests.pipeline.study.conftest import Toy


def experiment(variant: str, seed: int = 0, **sections: object) -> Experiment:
    params = {
        "raw": "raw",
        "base": {"seed": seed},
        "ingest": {"seed": 5},
        "train": {},
        "evaluate": {"seed": 5},
        **sections,
    }
    return Experiment("toy", variant, seed, params, yaml.safe_dump(params))


def test_a_snapshot_takes_along_what_is_not_committed(toy: Toy) -> None:
    clean = take(toy.root)
    (toy.root / "toy.py").write_text("changed")
    (toy.root / "configs/new.yaml").write_text("new: 1")
    (toy.root / "notes.txt").write_text("a private note")
    before = toy.git("status", "--porcelain")
    dirty = take(toy.root)
    assert toy.git("status", "--porcelain") == before
    assert dirty.commit == clean.commit and dirty.tree != clean.tree
    assert set(dirty.files) - set(clean.files) == {"configs/new.yaml"}
    assert dirty.digest(["toy.py"]) != clean.digest(["toy.py"])
    assert dirty.digest(["dvc.yaml"]) == clean.digest(["dvc.yaml"])
    assert dirty.digest(["configs"]) != clean.digest(["configs"])


def test_no_git_no_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(HmerError, match="a study needs git"):
        take(tmp_path)


def test_a_workspace_borrows_and_changes_nothing(toy: Toy) -> None:
    status = toy.git("status", "--porcelain")
    space = Workspace(toy.root, experiment("plain", train={"gain": 3}), "")
    space.prepare(take(toy.root), toy.root / ".dvc/cache")
    assert yaml.safe_load((space.project / "params.yaml").read_text())["train"] == {"gain": 3}
    assert (space.project / "raw/ink.txt").read_text() == "ink"
    assert (space.project / "raw").is_symlink()
    assert str(toy.root / ".dvc/cache") in (space.project / ".dvc/config.local").read_text()

    # What is under way there stays when the code has changed meanwhile.
    checkpoint = space.project / ".resume/train/0123/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert space.half_done("train") and not space.half_done("evaluate")
    (toy.root / "go.py").write_text("changed")
    space.prepare(take(toy.root), toy.root / ".dvc/cache")
    assert (space.project / "go.py").read_text() == "changed"
    assert checkpoint.exists()

    # What a kill left while DVC was making the commit does not.
    space.close()
    space.prepare(take(toy.root), toy.root / ".dvc/cache")
    assert not checkpoint.exists()
    toy.git("checkout", "--", "go.py")
    assert toy.git("status", "--porcelain") == status


def test_a_broken_workspace_does_not_reach_the_project(toy: Toy) -> None:
    (toy.root / "toy.py").write_text("not committed")
    space = Workspace(toy.root, experiment("plain"), "")
    (space.folder / ".git").mkdir(parents=True)
    (space.folder / ".git/HEAD").write_text("ref: refs/heads/main\n")  # git init, killed half-way
    with pytest.raises(HmerError, match="git"):
        space.prepare(take(toy.root), toy.root / ".dvc/cache")
    assert (toy.root / "toy.py").read_text() == "not committed"
    assert (toy.root / "dvc.yaml").exists()


def test_raw_data_are_linked(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "crohme").mkdir(parents=True)
    (source / "crohme/a.inkml").write_text("a")
    bring(source, target)
    assert target.is_symlink() and (target / "crohme/a.inkml").read_text() == "a"
    bring(source, target)
    # Git has put a file of the folder there already: file by file, for DVC looks behind no links.
    other = tmp_path / "other"
    other.mkdir()
    (other / ".gitkeep").touch()
    bring(source, other)
    bring(source, other)
    assert not (other / "crohme").is_symlink()
    assert (other / "crohme/a.inkml").samefile(source / "crohme/a.inkml")


def test_work_that_is_shared_is_there_once(toy: Toy) -> None:
    plain, better = experiment("plain"), experiment("better", train={"gain": 2})
    other, scored = experiment("plain", 1), experiment("scored", evaluate={"seed": 6})
    found = graph(toy.root, take(toy.root), "evaluate", [plain, better, other, scored])
    needs = found.needs
    assert list(needs[plain.name]) == ["ingest", "train", "evaluate"]
    for stage, same, different in (
        ("ingest", [better, scored], [other]),
        ("train", [scored], [better, other]),
        ("evaluate", [], [better, other, scored]),
    ):
        key = needs[plain.name][stage]
        assert all(needs[one.name][stage] == key for one in same)
        assert all(needs[one.name][stage] != key for one in different)
    # With the seed of the data fixed, both give the same data: not both at once.
    ingests = [found.work[needs[one.name]["ingest"]] for one in (plain, other)]
    assert ingests[0].like == ingests[1].like and ingests[0].key != ingests[1].key
    trains = [found.work[needs[one.name]["train"]] for one in (plain, other)]
    assert trains[0].like != trains[1].like

    # Code, data and parameters make other work; what no stage reads does not.
    (toy.root / "go.py").write_text("changed")
    assert (
        graph(toy.root, take(toy.root), "evaluate", [plain]).needs[plain.name] == needs[plain.name]
    )
    (toy.root / "raw/ink.txt").write_text("more ink")
    data = graph(toy.root, take(toy.root), "evaluate", [plain])
    assert data.code != found.code and data.settings[plain.name] == found.settings[plain.name]
    with pytest.raises(HmerError, match="no stage 'tain', only ingest, train, evaluate"):
        graph(toy.root, take(toy.root), "tain", [plain])
