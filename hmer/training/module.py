"""The Lightning module that the three trainings share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from hmer.errors import HmerError
from hmer.training.curves import Curves
from hmer.training.distributed import gathered
from hmer.training.optimisation import OptimisationConfig, adamw


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
