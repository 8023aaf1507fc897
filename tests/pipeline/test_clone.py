"""A colleague's clone: what git and a DVC remote bring, and what they must not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hmer.files import content_digest
from pipeline.dvcfile import declarations

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy

ROOT = Path(__file__).parents[2]


def test_a_clone_does_not_inherit_the_registration() -> None:
    """With its output in git, `register` would be skipped in a clone: no model, no champion."""
    assert "/registration.json" in (ROOT / "reports/.gitignore").read_text().split()


@pytest.mark.medium
def test_a_clone_pulls_what_was_pushed(made: Toy, tmp_path: Path) -> None:
    config = (made.root / ".dvc/config").read_text()
    (made.root / ".dvc/config").write_text(
        f"{config}    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    )
    pushed = made.run("-m", "dvc", "push")
    assert pushed.returncode == 0, pushed.stderr

    clone = type(made)(tmp_path / "clone")
    clone.root.mkdir()
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "toy.py", "raw.txt", ".dvc/config"):
        (clone.root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(made.root / name, clone.root / name)
    pulled = clone.run("-m", "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert (clone.root / "out/third/value.txt").read_text() == "ink"
    status = clone.run("-m", "dvc", "status", "--json")
    assert status.stdout.strip() == "{}"
    assert not (clone.root / "pid-first").exists(), "nothing had to run"


TINY = (
    "base.render.unit=10",
    "ingest.workers=1",
    "ingest.synthetic.train=40",
    "ingest.synthetic.val=12",
    "ingest.synthetic.test=12",
    "validate.workers=1",
    "validate.min_train_rows=10",
    "validate.min_rows=5",
    "validate.max_symbol_drift=1",
    "pretrain.encoder.width=8",
    "pretrain.encoder.blocks=[1, 1, 1]",
    "pretrain.collapse=0",
    *(
        f"{stage}.{setting}"
        for stage in ("pretrain", "attend", "finetune")
        for setting in (
            "optimisation.steps=60",
            "optimisation.leg=10",
            "optimisation.workers=0",
            "batch.max_count=4",
        )
    ),
    "finetune.validate_on=4",
    "model.decoder.layers=1",
    "model.decoder.width=16",
    "model.decoder.heads=2",
    "model.decoder.feedforward=32",
    "evaluate.decoding.beam=1",
    "evaluate.decoding.max_length=10",
    "evaluate.occlusion.limit=2",
)
"""Settings for which a stage is little more than its imports."""


def environment() -> dict[str, str]:
    """As in a fresh shell, with one thread per process."""
    mine = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MLFLOW", "PREFECT", "DVC", "HMER", "PYTHON"))
    }
    return {**mine, "OMP_NUM_THREADS": "1", "HMER_PROGRESS": "0"}


def copy_project(to: Path) -> Path:
    """What git knows of the working tree, as it is now, in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to / name)
    (to / "data/raw").mkdir(parents=True, exist_ok=True)
    settings = [part for setting in TINY for part in ("--set", setting)]
    run(to, "git", "init", "-q")
    commit(to)
    run(to, sys.executable, "-m", "pipeline", "configure", *settings)
    return to


def run(root: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(root: Path) -> None:
    run(root, "git", "add", "-A")
    run(root, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "as it is")


@pytest.mark.slow
def test_a_clone_of_the_real_graph_is_whole_without_training(tmp_path: Path) -> None:
    """Data, weights and reports; `register` alone is left, for a registry is no output of DVC's."""
    dvc = (sys.executable, "-m", "dvc")
    trained, clone = copy_project(tmp_path / "trained"), tmp_path / "clone"
    run(trained, sys.executable, "-m", "pipeline", "run", "--no-prefect")
    run(trained, *dvc, "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(trained, *dvc, "push")
    commit(trained)
    run(tmp_path, "git", "clone", "-q", str(trained), str(clone))
    run(clone, *dvc, "pull")
    made = declarations(clone)
    outs = [out for name, stage in made.items() if name != "register" for out in stage.outs]
    assert {"data/dataset", "data/models/finetune", "reports/evaluation"} <= set(outs)
    for out in outs:
        assert content_digest(clone / out) == content_digest(trained / out), out
    assert set(json.loads(run(clone, *dvc, "status", "--json"))) == {"register"}
    page = Path(run(clone, sys.executable, "-m", "pipeline", "report").strip())
    assert "ExpRate" in page.read_text(encoding="utf-8")
