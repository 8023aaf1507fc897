"""The training loop: legs, checkpoints, and going on after an interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmer.data.batches import BatchConfig, BatchStream, PlannedBatch
from hmer.errors import HmerError
from hmer.training import fit as training_fit
from hmer.training.fit import CHECKPOINT, RunContext, fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig

pytestmark = pytest.mark.medium


Train = Callable[..., dict[str, float]]
WEIGHTS = {"pretrain": "encoder", "attend": "attention", "finetune": "model"}
SIZES = np.full((7, 2), 8, dtype=np.int64)


class PowerCutError(Exception):
    """The machine went away."""


def cut_power_at(step: int, patch: pytest.MonkeyPatch) -> None:
    real = SteppedModule.training_step

    def training_step(self: SteppedModule, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == step:
            raise PowerCutError
        return real(self, batch, batch_idx)

    patch.setattr(SteppedModule, "training_step", training_step)


@pytest.mark.parametrize("phase", WEIGHTS)
def test_interrupted_trainings_end_with_the_same_bytes(
    phase: str, train: Train, finished: Path, tmp_path: Path
) -> None:
    """Before there is a checkpoint, right after one, and in the middle of a leg."""
    for step in (0, 2, 4, 5):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCutError):
            cut_power_at(step, patch)
            train(phase, tmp_path)
        assert (tmp_path / "resume" / CHECKPOINT).is_file() == (step >= 2)
    train(phase, tmp_path)
    wanted = {path.name: path.read_bytes() for path in (finished / phase).glob("*.*")}
    assert f"{WEIGHTS[phase]}.safetensors" in wanted
    for name, content in wanted.items():
        assert (tmp_path / name).read_bytes() == content, name


@pytest.mark.parametrize("phase", WEIGHTS)
def test_a_finished_training_is_not_trained_further(
    phase: str, train: Train, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished / phase / "resume", tmp_path / "resume")
    cut_power_at(6, monkeypatch)
    train(phase, tmp_path)
    name = f"{WEIGHTS[phase]}.safetensors"
    assert (tmp_path / name).read_bytes() == (finished / phase / name).read_bytes()


def test_the_resume_state_is_what_the_second_run_starts_from(
    train: Train, finished: Path, tmp_path: Path
) -> None:
    """Guards the tests above: a run that began anew would not notice a changed checkpoint."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCutError):
        cut_power_at(4, patch)
        train("pretrain", tmp_path)
    path = tmp_path / "resume" / CHECKPOINT
    checkpoint = torch.load(path, weights_only=False)
    assert checkpoint["global_step"] == 4
    checkpoint["state_dict"]["encoder.stem.0.weight"] += 0.1
    torch.save(checkpoint, path)
    train("pretrain", tmp_path)
    name = "encoder.safetensors"
    assert (tmp_path / name).read_bytes() != (finished / "pretrain" / name).read_bytes()


class Line(SteppedModule):
    def __init__(self, workers: int = 0, steps: int = 6) -> None:
        super().__init__(
            OptimisationConfig(
                steps=steps, leg=2, learning_rate=0.1, precision="32-true", workers=workers
            ),
            0,
        )
        self.layer = nn.Linear(2, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.seen: list[Tensor] = []

    def losses(self, batch: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        self.seen.append(batch)
        noise = torch.rand(())
        return {"fit": (self.layer(batch) + noise).square().mean()}, {"noise": noise}


def make(plan: PlannedBatch, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.random((len(plan.samples), 2), dtype=np.float32))


def run(module: Line, folder: Path, maker: Any = make, **more: Any) -> None:
    stream = BatchStream(SIZES, BatchConfig(max_count=2), 8, 0)
    options = {"log": more.pop("log", None), "progress": False}
    fit(module, stream, maker, RunContext(folder, **options), title="line", **more)


def test_batches_are_those_of_the_stream(tmp_path: Path) -> None:
    module = Line()
    run(module, tmp_path)
    plans = BatchStream(SIZES, BatchConfig(max_count=2), 8, 0).batches(0, 6)
    wanted = [make(plan, np.random.default_rng([0, 1, step])) for step, plan in plans]
    assert len(module.seen) == 6
    for seen, batch in zip(module.seen, wanted, strict=True):
        assert torch.equal(seen, batch)


@pytest.mark.parametrize("steps", [5, 6])
def test_loader_processes_change_nothing(tmp_path: Path, steps: int) -> None:
    alone, helped = Line(0, steps), Line(2, steps)
    run(alone, tmp_path / "a")
    run(helped, tmp_path / "b")
    assert torch.equal(alone.layer.weight, helped.layer.weight)
    assert alone.curves.rows == helped.curves.rows
    again = Line(2, steps)
    run(again, tmp_path / "b")  # finished before: nothing to load, nothing to do
    assert not again.seen
    assert torch.equal(alone.layer.weight, again.layer.weight)


def test_measured_and_told_after_each_leg(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []

    def log(metrics: Mapping[str, float], step: int) -> None:
        told.append((step, dict(metrics)))

    values = iter((10.0, 20.0, 30.0))
    module = Line()
    run(module, tmp_path, log=log, measure=lambda: {"val": next(values)})
    assert [step for step, _ in told] == [2, 4, 6]
    assert [metrics["val"] for _, metrics in told] == [10, 20, 30]
    assert [v for _, name, v in module.curves.rows if name == "val"] == [10, 20, 30]
    assert sorted(told[0][1]) == ["learning_rate", "loss", "loss_fit", "noise", "val"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT]


def test_what_fails_the_check_is_not_kept(tmp_path: Path) -> None:
    class Checked(Line):
        def check(self, means: Mapping[str, float]) -> None:
            if self.global_step == 4:
                raise HmerError(f"at {self.global_step} with {means['noise']:.3f}")

    with pytest.raises(HmerError, match="at 4 with 0"):
        run(Checked(), tmp_path)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=False)["global_step"] == 2
    with pytest.raises(HmerError, match="at 4"):
        run(Checked(), tmp_path)


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
import importlib.util
spec = importlib.util.spec_from_file_location("line", {file!r})
line = importlib.util.module_from_spec(spec)
spec.loader.exec_module(line)
from pathlib import Path

def make(plan, rng):
    batch = line.make(plan, rng)
    make.count += 1
    if make.count == 6:  # of step 5, in the middle of the third leg
        os.kill(os.getpid(), signal.SIGKILL)
    return batch

make.count = 0
line.run(line.Line(), Path({folder!r}), make)
"""


def test_killed_outright(tmp_path: Path) -> None:
    whole = Line()
    run(whole, tmp_path / "whole")
    folder = tmp_path / "killed"
    code = KILLED.format(here=str(Path(__file__).parent), file=__file__, folder=str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (folder / CHECKPOINT).is_file()
    rest = Line()
    run(rest, folder)
    assert len(rest.seen) == 2
    assert torch.equal(rest.layer.weight, whole.layer.weight)
    assert rest.curves.rows == whole.curves.rows


class Recorder:
    """Stands in for `hmer.progress.Steps`."""

    made: list[Recorder]

    def __init__(self, title: str, total: int, wanted: bool, unit: str) -> None:
        self.opened = (title, total, wanted)
        self.updates: list[tuple[int, str]] = []
        self.closed = 0
        self.made.append(self)

    def update(self, done: int, note: str = "") -> None:
        self.updates.append((done, note))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


class Falling(SteppedModule):
    def __init__(self, broken: bool = False) -> None:
        super().__init__(OptimisationConfig(steps=3, leg=2, precision="32-true", workers=0), 0)
        self.weight = nn.Parameter(torch.zeros(()))
        self.broken = broken

    def losses(self, batch: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        if self.broken:
            raise RuntimeError("broken")
        return {"x": 0 * self.weight + 1.5 - self.global_step}, {}


def test_shows_steps_and_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.made = []
    monkeypatch.setattr(training_fit, "Steps", Recorder)
    stream = BatchStream(np.full((2, 2), 8), BatchConfig(max_count=2), 8, 0)
    fit(Falling(), stream, make, RunContext(tmp_path / "a", progress=True), title="fall")
    (bar,) = Recorder.made
    assert bar.opened == ("fall", 3, True)
    assert bar.updates == [(1, "loss 1.500"), (2, "loss 0.500"), (3, "loss -0.500")]
    assert bar.closed == 1
    with pytest.raises(RuntimeError, match="broken"):
        fit(Falling(True), stream, make, RunContext(tmp_path / "b", progress=False), title="fall")
    assert Recorder.made[1].opened == ("fall", 3, False)
    assert Recorder.made[1].closed
