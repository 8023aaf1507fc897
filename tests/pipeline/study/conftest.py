"""A toy project under git and real DVC, with a study of it: stages that take no time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipeline.conftest import Toy as Project
from tests.pipeline.conftest import commit_all

ROOT = Path(__file__).parents[3]

STUDIED = ("go.py", "study", "toy")
DVC_YAML = """
stages:
  ingest:
    cmd: exec python toy.py ingest
    deps: [toy.py, "${raw}"]
    params: [base, raw, ingest]
    outs: [out/dataset]
  train:
    cmd: exec python toy.py train
    deps: [toy.py, out/dataset]
    params: [base, train]
    outs: [out/model]
  evaluate:
    cmd: exec python toy.py evaluate
    deps: [toy.py, out/model]
    params: [base, evaluate]
    metrics:
      - reports/evaluation.json:
          cache: false
"""

TOY = '''
"""Three stages; `train` can be slow, and can fail; every start of one is counted outside."""

import json
import os
import sys
import time
from pathlib import Path

from pydantic import BaseModel

from hmer.errors import HmerError
from pipeline.stage import Stage, run_stage


class ToyConfig(BaseModel):
    seed: int = 0
    seconds: float = 0
    gain: float = 0
    fail: bool = False


def main(stage: Stage) -> None:
    config = stage.config(ToyConfig)
    with Path(os.environ["TOY_STARTS"]).open("a") as starts:
        starts.write(f"{stage.name} {os.environ.get('OMP_NUM_THREADS')}\\n")
    if stage.name == "ingest":
        with stage.outputs("out/dataset") as out:
            (out / "ink.txt").write_text(stage.input("raw/ink.txt").read_text() + str(config.seed))
            (out / "summary.json").write_text('{"splits": {"train": {"samples": 3}}}')
    if stage.name == "train":
        with stage.tracked(config), stage.outputs("out/model") as out:
            legs = stage.resume / "legs.txt"
            done = int(legs.read_text()) if legs.exists() else 0
            for leg in range(done, 4):
                time.sleep(config.seconds / 4)
                legs.write_text(str(leg + 1))
            if config.fail:
                raise HmerError("this variant cannot be trained")
            (out / "model.txt").write_text(str(50 + config.gain + config.seed))
            Path(os.environ["TOY_STARTS"]).open("a").write(f"resumed at {done}\\n")
    if stage.name == "evaluate":
        exprate = float((stage.input("out/model") / "model.txt").read_text())
        with stage.output_file("reports/evaluation.json") as out:
            out.write_text(json.dumps({"val": {"exprate": exprate, "occluded.cer_10": 3.5}}))


run_stage(sys.argv[1], main)
'''

GO = """
# The command line, for parameters that are a toy's.
from types import SimpleNamespace

import pipeline.configure
import pipeline.study.report
import pipeline.study.run


def check(values, file):
    return SimpleNamespace(raw=values["raw"], ingest=SimpleNamespace(paths=list))


pipeline.configure.check_params = pipeline.study.run.check_params = check
pipeline.study.report.check_params = check

from pipeline.cli import app

app()
"""

DEFAULT = """
# A comment that stays.
raw: raw
base: {seed: 5}
ingest: {}
train: {}
evaluate: {}
"""

STUDY = """
title: A toy
configuration: default
seeds: [0]
metrics:
  - {name: exprate, heading: ExpRate, unit: '%'}
reference: plain
variants:
  plain: {describe: as it is}
  better: {describe: with a gain, settings: {train: {gain: 2}}}
report: toys
"""


@dataclass(frozen=True)
class Toy(Project):
    """A toy project on disk, and the file that counts what ran."""

    counted: Path

    @property
    def environment(self) -> dict[str, str]:
        """As a person's shell would have it, with the code under test first on the path."""
        ours = ("HMER", "DVC", "OMP")
        mine = {k: v for k, v in super().environment.items() if not k.startswith(ours)}
        return {**mine, "TOY_STARTS": str(self.counted)}

    @property
    def command(self) -> list[str]:
        """The study."""
        return [sys.executable, *STUDIED]

    def study(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The study, to its end."""
        return self.run(*STUDIED, *arguments, timeout=900)

    def git(self, *arguments: str) -> str:
        """What git says."""
        return subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout.strip()

    def starts(self) -> list[str]:
        """What ran since the last question."""
        lines = self.counted.read_text().splitlines() if self.counted.exists() else []
        self.counted.unlink(missing_ok=True)
        return lines


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A fresh toy project with one commit; its raw data are not in git."""
    made = Toy(tmp_path / "toy", tmp_path / "starts.txt")
    (made.root / ".dvc").mkdir(parents=True)
    (made.root / "configs/studies").mkdir(parents=True)
    (made.root / "raw").mkdir()
    (made.root / "raw/ink.txt").write_text("ink")
    shutil.copyfile(ROOT / ".dvc/config", made.root / ".dvc/config")
    shutil.copyfile(ROOT / ".dvcignore", made.root / ".dvcignore")
    for name, text in (
        ("dvc.yaml", DVC_YAML),
        ("toy.py", TOY),
        ("go.py", GO),
        ("params.yaml", DEFAULT),
        ("configs/default.yaml", DEFAULT),
        ("configs/studies/toy.yaml", STUDY),
        (".dvc/.gitignore", "/config.local\n/tmp\n/cache\n"),
        (
            ".gitignore",
            "/raw\n/out\n/.resume\n/.dvc-site-cache\n/mlruns\n/mlflow.db*\n__pycache__\n",
        ),
    ):
        (made.root / name).write_text(text)
    commit_all(made.root)
    return made
