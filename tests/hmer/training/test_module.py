"""What the three trainings share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hmer.data.batches import BatchConfig, BatchStream, PlannedBatch
from hmer.errors import HmerError
from hmer.training.fit import CHECKPOINT, RunContext, fit
from hmer.training.module import Curves, SteppedModule
from hmer.training.optimisation import CLIP, OptimisationConfig

SIZES = np.full((5, 2), 8, dtype=np.int64)


class Line(SteppedModule):
    """Fits a line; loses its way at a given step."""

    def __init__(self, steps: int, leg: int, bad_step: int = -1, seed: int = 0) -> None:
        config = OptimisationConfig(
            steps=steps, leg=leg, learning_rate=0.1, precision="32-true", workers=0
        )
        super().__init__(config, seed)
        self.bad_step = bad_step
        self.layer = nn.Linear(2, 1)
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.before: list[Tensor] = []
        self.drawn: list[float] = []

    def losses(self, batch: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        self.before.append(self.layer.weight.detach().clone())
        self.drawn.append(float(torch.rand(())))
        lost = torch.tensor(torch.nan if self.global_step == self.bad_step else 1.0)
        return {
            "fit": lost * self.layer(batch).square().mean(),
            "size": 0.5 * self.layer.weight.square().sum(),
        }, {"drawn": torch.tensor(self.drawn[-1])}


def make(plan: PlannedBatch, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.random((len(plan.samples), 2), dtype=np.float32))


def train(module: Line, folder: Path) -> None:
    stream = BatchStream(SIZES, BatchConfig(max_count=2), 8, module.seed)
    fit(module, stream, make, RunContext(folder, progress=False), title="line")


@pytest.mark.parametrize("bad_step", [0, 3])
def test_a_loss_that_is_no_number_ends_it_before_the_weights_change(
    tmp_path: Path, bad_step: int
) -> None:
    module = Line(6, 2, bad_step)
    with pytest.raises(HmerError, match=f"became nan at step {bad_step}.*learning rate"):
        train(module, tmp_path)
    assert len(module.before) == bad_step + 1
    assert torch.equal(module.layer.weight, module.before[-1])
    assert torch.isfinite(module.layer.weight).all()
    assert (tmp_path / CHECKPOINT).is_file() == (bad_step >= 2)


def test_the_loss_is_the_sum_and_each_row_a_mean_over_its_leg(tmp_path: Path) -> None:
    module = Line(5, 2)
    train(module, tmp_path)
    rows = {(step, name): value for step, name, value in module.curves.rows}
    assert sorted({step for step, _ in rows}) == [2, 4, 5]
    for step in (2, 4, 5):
        assert rows[step, "loss"] == pytest.approx(
            rows[step, "loss_fit"] + rows[step, "loss_size"], abs=2e-6
        )
    drawn = module.drawn
    means = [(drawn[0] + drawn[1]) / 2, (drawn[2] + drawn[3]) / 2, drawn[4]]
    assert [rows[step, "drawn"] for step in (2, 4, 5)] == pytest.approx(means, abs=1e-5)
    # Warm-up of no step, then half a cosine to zero at step 5.
    assert rows[5, "learning_rate"] == 0
    wanted = 0.1 * 0.5 * (1 + np.cos(np.pi * 2 / 5))
    assert rows[2, "learning_rate"] == pytest.approx(wanted, abs=1e-6)


def test_each_step_has_its_own_seed(tmp_path: Path) -> None:
    one, other = Line(4, 4), Line(4, 4, seed=1)
    torch.manual_seed(99)
    train(one, tmp_path / "a")
    train(other, tmp_path / "b")
    wanted = []
    for step in range(4):
        torch.manual_seed(step)
        wanted.append(float(torch.rand(())))
    assert one.drawn == wanted
    assert len(set(one.drawn + other.drawn)) == 8


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """A gradient a million times larger moves plain descent no further than its clipped norm."""

    class Steep(Line):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1.0)

        def losses(self, batch: Tensor) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
            return {"fit": 1e6 * self.layer.weight.sum()}, {}

    module = Steep(1, 1)
    train(module, tmp_path)
    moved = torch.ones(1, 2) - module.layer.weight.detach()
    assert float(moved.norm()) == pytest.approx(CLIP, rel=1e-4)


def test_flush_writes_means_and_starts_again() -> None:
    curves = Curves()
    curves.add({"loss": 1.0, "rare": 5.0})
    curves.add({"loss": 2.0})
    assert curves.flush(2) == {"loss": 1.5, "rare": 5.0}
    curves.add({"loss": 4.00000049})
    assert curves.flush(4) == {"loss": pytest.approx(4.00000049, abs=1e-12)}
    assert curves.flush(5) == {}
    assert curves.rows == [(2, "loss", 1.5), (2, "rare", 5.0), (4, "loss", 4.0)]


def test_one_row_per_step_and_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    curves = Curves()
    curves.rows = [(2, "loss", 1.5), (2, "accuracy", 0.25), (4, "loss", 1.25)]
    curves.write(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_bytes() == b"step,accuracy,loss\n2,0.25,1.5\n4,,1.25\n"
