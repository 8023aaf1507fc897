"""Shows the steps of a training."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from hmer.progress import Steps


class StepProgress(Callback):
    """Shows the steps of a training."""

    def __init__(self, title: str, wanted: bool) -> None:
        self.title = title
        self.wanted = wanted
        self._steps: Steps | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar."""
        self._steps = Steps(self.title, int(trainer.max_steps), self.wanted, " steps")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Move the bar."""
        if self._steps is not None:
            loss = float(outputs["loss"]) if isinstance(outputs, dict) else float("nan")
            self._steps.update(trainer.global_step, note=f"loss {loss:.3f}")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        if self._steps is not None:
            self._steps.close()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar."""
        self.on_train_end(trainer, pl_module)
