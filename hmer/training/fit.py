"""The one training loop: Lightning, in legs, resumable to the bit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from hmer.data.stream import Maker, Stream, loader
from hmer.training.module import SteppedModule
from hmer.training.progress import StepProgress
from hmer.training.run import RunContext

CHECKPOINT = "last.ckpt"


class LegData(L.LightningDataModule):
    """Gives each leg its own batches, counted from the first step of the training."""

    def __init__(self, stream: Stream, maker: Maker[Any], leg: int, steps: int, workers: int):
        super().__init__()
        self.stream = stream
        self.maker = maker
        self.leg = leg
        self.steps = steps
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the leg that starts at the trainer's step."""
        assert self.trainer is not None
        start = self.trainer.global_step
        plans = self.stream.batches(start, min(self.leg, self.steps - start))
        return loader(plans, self.maker, self.stream.seed, self.workers)


class EndOfLeg(Callback):
    """After each leg: measure, tell the logger, check, and keep a checkpoint (by rename)."""

    def __init__(self, run: RunContext, measure: Callable[[], dict[str, float]] | None) -> None:
        self.run = run
        self.measure = measure

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """See the class."""
        assert isinstance(pl_module, SteppedModule)
        if self.measure is not None:
            pl_module.curves.add(self.measure())
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        pl_module.curves.add({"learning_rate": float(rate)})
        means = pl_module.curves.flush(trainer.global_step)
        if self.run.logger is not None:
            self.run.logger.log_metrics(means, trainer.global_step)
        pl_module.check(means)
        self.run.resume.mkdir(parents=True, exist_ok=True)
        partial = self.run.resume / "partial.ckpt"
        trainer.save_checkpoint(partial)
        partial.replace(self.run.resume / CHECKPOINT)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say in the checkpoint that no batch of the coming leg is done.

        Lightning would count the batches of the leg that has ended towards the next one, and
        end that early: a resumed training would have other legs, and so other curves.
        """
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        progress["current"] = dict.fromkeys(progress["current"], 0)
        progress["is_last_batch"] = False


def fit(
    module: SteppedModule,
    stream: Stream,
    maker: Maker[Any],
    run: RunContext,
    *,
    measure: Callable[[], dict[str, float]] | None = None,
    title: str,
) -> None:
    """Train `module` to its last step, from the checkpoint in `run.resume` if there is one.

    Args:
        module: trained in place; its curves are filled.
        stream: which samples make which batch.
        maker: makes the batch.
        run: surroundings.
        measure: called after each leg for validation figures.
        title: for the progress bar.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    config = module.optimisation
    quiet_lightning()
    trainer = L.Trainer(
        accelerator="auto",
        devices=1,
        precision=config.precision,  # type: ignore[arg-type]  # checked by a pattern
        max_steps=config.steps,
        max_epochs=-1,
        gradient_clip_val=config.clip,
        reload_dataloaders_every_n_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        callbacks=[EndOfLeg(run, measure), StepProgress(title, run.progress)],
    )
    data = LegData(stream, maker, config.leg, config.steps, config.workers)
    checkpoint: Path | None = run.resume / CHECKPOINT
    with warnings.catch_warnings():
        # Batches come from our own processes, in a number that suits this training.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*number of training batches.*")
        # A checkpoint is always between two legs, whatever their lengths; after the last one
        # there are no more batches.
        warnings.filterwarnings("ignore", ".*ended before the epoch ended.*")
        warnings.filterwarnings("ignore", "Total length of .* across ranks is zero.*")
        # Lightning's own use of a name that torch has renamed.
        warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
        trainer.fit(
            module,
            datamodule=data,
            ckpt_path=checkpoint if checkpoint and checkpoint.is_file() else None,
        )


def quiet_lightning() -> None:
    """Only warnings from Lightning: its tips and device lines are no help in a pipeline's log."""
    for name in ("lightning", "lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
