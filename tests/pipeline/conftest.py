"""A toy project: the real stage wrapper under real DVC, with stages that take no time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

DVC_YAML = """
stages:
  first:
    cmd: exec python toy.py first
    deps: [toy.py, raw.txt]
    params: [base, first]
    outs: [out/first]
  second:
    cmd: exec python toy.py second
    deps: [toy.py, out/first]
    params: [base, second]
    outs: [out/second]
  third:
    cmd: exec python toy.py third
    deps: [toy.py, out/second/value.txt]
    params: [third]
    outs: [out/third]
"""

TOY = '''
"""Three stages that copy a text; `second` may wait, count its own starts, or fail."""

import os
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from pipeline.stage import Stage, run_stage


class ToyConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    seconds: float = Field(default=0, ge=0)
    fail: str = ""
    text: str = ""
    optimisation: dict[str, int] = {}


class Later(HmerError):
    exit_code = 75


def main(stage: Stage) -> None:
    config = stage.config(ToyConfig)
    source = {"first": "raw.txt", "second": "out/first", "third": "out/second/value.txt"}
    path = stage.input(source[stage.name])
    text = (path / "value.txt" if path.is_dir() else path).read_text()
    with stage.outputs(f"out/{stage.name}") as out:
        (out / "half.txt").write_text("half")
        began = stage.resume / "starts.txt"
        starts = int(began.read_text()) if began.exists() else 0
        began.write_text(str(starts + 1))
        Path(f"pid-{stage.name}").write_text(str(os.getpid()))
        print(f"{stage.name} at work, start {starts + 1}", flush=True)
        deadline = time.monotonic() + config.seconds
        while time.monotonic() < deadline:
            time.sleep(0.02)
        if config.fail == "user":
            raise HmerError("the toy is broken: mend it")
        if config.fail == "bug":
            raise RuntimeError("nobody foresaw this")
        if config.fail == "once" and not starts:
            raise Later("the toy server does not answer")
        (out / "half.txt").unlink()
        (out / "value.txt").write_text(text + config.text)
        (out / "starts.txt").write_text(str(starts + 1))


run_stage(sys.argv[1], main)
'''


UNCHECKED = """
# Parameters that are a toy's: the project's own check would refuse them.
import sys
import types

stub = types.ModuleType("pipeline.configure")
stub.prepare = stub.composed = lambda *_: None
sys.modules["pipeline.configure"] = stub
"""
GO = f"""{UNCHECKED}
from pipeline.cli import app

app()
"""


@dataclass(frozen=True)
class Toy:
    """A toy project on disk."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """As a person's shell would have it, with the code under test first on the path."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT"))}
        for name in ("HMER_PARENT_RUN", "DVC_STAGE", "DVC_SITE_CACHE_DIR"):
            mine.pop(name, None)
        mine["PYTHONPATH"] = os.pathsep.join([str(self.root / "site"), str(ROOT)])
        mine["XDG_CACHE_HOME"] = str(self.root.parent / "cache")
        mine["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), mine["PATH"]])
        return mine

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """A Python program in the project."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, without waiting."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def unchecked(self) -> None:
        """Let its parameters pass in all its processes, those of flows too."""
        (self.root / "site").mkdir()
        (self.root / "site/sitecustomize.py").write_text(UNCHECKED)

    def params(self, **sections: dict[str, object]) -> None:
        """Write `params.yaml`."""
        import yaml

        stages: dict[str, object] = {"first": {}, "second": {}, "third": {}}
        little_patience = {"delays": [0.1, 0.1]}
        values = {"base": {"seed": 1}, "flow": little_patience, **stages, **sections}
        (self.root / "params.yaml").write_text(yaml.safe_dump(values))


def commit_all(root: Path) -> None:
    """All that is not ignored, in a git repository that is made where there is none."""
    person = ("-c", "user.name=t", "-c", "user.email=t@t")
    for command in (("init", "-q"), ("add", "-A"), (*person, "commit", "-qm", "as it is")):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)


def wait_until_gone(pid: int) -> None:
    """As long as it takes; a process that only waits to be reaped is gone."""
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)


def tiny_model(folder: Path, seed: int) -> None:
    """A recogniser with next to no weights."""
    import torch

    from hmer.ink.render import RenderConfig
    from hmer.latex.vocabulary import vocabulary
    from hmer.models.checkpoint import save_module
    from hmer.models.common.attention import AttentionConfig
    from hmer.models.common.encoders import CompactConfig
    from hmer.models.mask_match import MaskMatchConfig
    from hmer.models.mask_match.decoder import DecoderConfig
    from hmer.models.registry import build_recogniser

    words = vocabulary("wap")
    config = MaskMatchConfig(
        encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
        attention=AttentionConfig(heads=1, hidden=8),
        decoder=DecoderConfig(layers=1, width=16, heads=1, feedforward=16),
    ).model_dump(mode="json")
    torch.manual_seed(seed)
    about = {
        "kind": "recogniser",
        "name": "mask-match",
        "config": config,
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(words.to_json()),
    }
    folder.mkdir(parents=True)
    model = build_recogniser("mask-match", config, words)
    save_module(model, folder / "model.safetensors", about)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking store without an experiment of ours, to be copied: its tables take seconds."""
    from pipeline.tracking.store import make_store

    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    make_store(store)
    return store


def toy_project(root: Path) -> Toy:
    """Make a toy project, without git."""
    made = Toy(root)
    (made.root / ".dvc").mkdir(parents=True)
    config = (ROOT / ".dvc" / "config").read_text()
    (made.root / ".dvc" / "config").write_text(config + "    no_scm = true\n")
    shutil.copyfile(ROOT / ".dvcignore", made.root / ".dvcignore")
    (made.root / "dvc.yaml").write_text(DVC_YAML)
    (made.root / "toy.py").write_text(TOY)
    (made.root / "go.py").write_text(GO)
    (made.root / "raw.txt").write_text("ink")
    made.params()
    return made


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A fresh toy project, without git."""
    return toy_project(tmp_path / "toy")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project after `dvc repro`, to be copied: four processes take seconds."""
    made = toy_project(tmp_path_factory.mktemp("made") / "toy")
    done = made.run("-m", "dvc", "repro")
    assert done.returncode == 0, done.stderr
    return made.root


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Toy:
    """A toy project all of whose stages have run."""
    return Toy(shutil.copytree(made_once, tmp_path / "made"))
