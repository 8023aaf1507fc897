"""The bar of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmer.data.batches import BatchConfig, BatchStream, PlannedBatch
from hmer.training import progress
from hmer.training.fit import fit
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig
from hmer.training.run import RunContext


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

    def close(self) -> None:
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


def make(plan: PlannedBatch, rng: np.random.Generator) -> Tensor:
    return torch.zeros(1)


def test_shows_steps_and_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.made = []
    monkeypatch.setattr(progress, "Steps", Recorder)
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
