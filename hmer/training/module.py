"""The Lightning module that the three trainings share, their curves, and several processes.

A step averages `batches` planned batches (`OptimisationConfig`). Of n processes, process r takes
number r, r + n, r + 2n ... of each step and the gradients are averaged. So the number of processes
does not change the training: the same batches make the same step, but for the order of a sum, and
for the running statistics of batch normalisation, which follow the first process only. Batches stay
whole because a contrastive loss needs all of its batch for negatives.
"""

from __future__ import annotations

import csv
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
import torch.distributed as dist
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from hmer.errors import HmerError
from hmer.training.optimisation import OptimisationConfig, adamw

Sums = dict[str, tuple[float, int]]
"""Sum and number of the values of each name."""


class Curves:
    """Rows of measurements in long form: step, name, value."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, float]] = []
        self._sums: Sums = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Take values of one step into the running means."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def pool(self, gather: Callable[[Sums], list[Sums]]) -> None:
        """Take what other processes have measured, as `gathered`, into the running means."""
        pooled: Sums = {}
        for sums in gather(self._sums):
            for name, (total, count) in sums.items():
                before, number = pooled.get(name, (0.0, 0))
                pooled[name] = (before + total, number + count)
        self._sums = pooled

    def flush(self, step: int) -> dict[str, float]:
        """Write the means since the last flush as rows of `step`, and return them."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self.rows += [(step, name, round(value, 6)) for name, value in means.items()]
        self._sums.clear()
        return means

    def write(self, path: Path) -> None:
        """One row per step, one column per name; empty where nothing was measured."""
        names = sorted({name for _, name, _ in self.rows})
        table: dict[int, dict[str, float]] = {}
        for step, name, value in self.rows:
            table.setdefault(step, {})[name] = value
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", *names], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"step": step, **row} for step, row in sorted(table.items()))

    def write_outcome(self, folder: Path, names: Iterable[str]) -> dict[str, float]:
        """Write `curves.csv` and, of the newest of those values that there are, `metrics.json`."""
        newest = {name: value for _, name, value in self.rows}
        metrics = {name: round(newest[name], 4) for name in names if name in newest}
        self.write(folder / "curves.csv")
        text = json.dumps(metrics, indent=2) + "\n"
        (folder / "metrics.json").write_text(text, encoding="utf-8")
        return metrics


T = TypeVar("T")


def gathered(value: T) -> list[T]:
    """What each process has, in the order of ranks, on all of them."""
    if not _many():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]  # every place has been filled


def from_first(act: Callable[[], T]) -> T:
    """The result of `act` in the first process, on all of them; the others wait for it."""
    if not _many():
        return act()
    box: list[T | None] = [act() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]  # broadcast by the first


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class SteppedModule(L.LightningModule):
    """Trains for a fixed number of steps; a subclass says what a step's losses are.

    All randomness of batch k (dropout, masks) is seeded by the seed and k, so that a resumed
    training ends with the same weights as an uninterrupted one, and several processes with those
    of one.
    """

    def __init__(self, optimisation: OptimisationConfig, seed: int) -> None:
        super().__init__()
        self.optimisation = optimisation
        self.seed = seed
        self.curves = Curves()
        self._stepped = 0

    @abstractmethod
    def losses(self, batch: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Losses by name (their sum is minimised) and further measurements, all scalars."""

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over all trainable parameters."""
        optimiser, schedule = adamw(self.named_parameters(), self.optimisation)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the batch."""
        config = self.optimisation
        world, rank = self.trainer.world_size, self.trainer.global_rank
        turn = batch_idx % (config.batches // world)
        number = self.global_step * config.batches + turn * world + rank
        torch.manual_seed(self.seed * 1_000_003 + number)
        self._stepped = self.global_step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Notice a step: it may take several batches."""
        if self.global_step > self._stepped:
            self.after_step()

    def after_step(self) -> None:
        """Follow the new weights, if something does (an average, a teacher)."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Sum of the losses.

        Raises:
            HmerError: the loss is not finite, here or in another process; nothing has been written
                to the weights yet.
        """
        losses, measured = self.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        values = {"loss": total, **{f"loss_{k}": v for k, v in losses.items()}, **measured}
        plain = {name: float(value.detach()) for name, value in values.items()}
        # All processes stop together: one alone would leave the others waiting for its gradients.
        bad = next((loss for loss in gathered(plain["loss"]) if not math.isfinite(loss)), None)
        if bad is not None:
            raise HmerError(
                f"the loss became {bad} at step {self.global_step}; "
                "lower the learning rate or look at the data"
            )
        self.curves.add(plain)
        return total

    def check(self, means: Mapping[str, float]) -> None:
        """Look at the means of a leg that has ended; its checkpoint is not yet written.

        Raises:
            HmerError: it is no use to go on, nor to come back to this point.
        """

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curves with the weights."""
        checkpoint["curves"] = self.curves.rows

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the curves of the interrupted training, at the rate of the parameters."""
        rate, decay = self.optimisation.learning_rate, self.optimisation.weight_decay
        for schedule in checkpoint.get("lr_schedulers", ()):
            schedule["base_lrs"] = [rate] * len(schedule["base_lrs"])
        for optimiser in checkpoint.get("optimizer_states", ()):
            for group in optimiser["param_groups"]:
                group["initial_lr"] = rate
                group["weight_decay"] = decay if group["weight_decay"] else 0.0
        self.curves.rows = [tuple(row) for row in checkpoint["curves"]]
