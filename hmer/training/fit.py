"""The one training loop: Lightning, in legs, resumable to the bit, in one process or several."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from hmer.data.batches import Maker, OrderedLoader, Stream
from hmer.progress import Steps
from hmer.training.module import SteppedModule, from_first, gathered
from hmer.training.optimisation import CLIP, OptimisationConfig

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class RunContext:
    """Surroundings of one training; nothing in here may change its result."""

    resume: Path
    """Directory for the checkpoint; belongs to exactly this training (params, data and code)."""
    log: Callable[[Mapping[str, float], int], object] | None = None
    """Told the means of the curves and the step after each leg."""
    progress: bool = True


class LegData(L.LightningDataModule):
    """Gives each leg its own batches, counted from the first step of the training."""

    def __init__(self, stream: Stream, maker: Maker[Any], config: OptimisationConfig) -> None:
        super().__init__()
        self.stream = stream
        self.maker = maker
        self.config = config

    def train_dataloader(self) -> OrderedLoader[Any]:
        """Batches of the leg that starts at the trainer's step: this process's share of them."""
        assert self.trainer is not None
        start, config = self.trainer.global_step, self.config
        steps = min(config.leg, config.steps - start)
        plans = self.stream.batches(start * config.batches, steps * config.batches)
        mine = plans[self.trainer.global_rank :: config.processes]
        return OrderedLoader(mine, self.maker, self.stream.seed, config.workers)


class EndOfLeg(Callback):
    """After each leg: measure, log, check, and keep a checkpoint (by rename)."""

    def __init__(self, run: RunContext, measure: Callable[[], dict[str, float]] | None) -> None:
        self.run = run
        self.measure = measure

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """See the class."""
        assert isinstance(pl_module, SteppedModule)
        pl_module.curves.pool(gathered)
        if self.measure is not None:
            pl_module.curves.add(from_first(self.measure))
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        pl_module.curves.add({"learning_rate": float(rate)})
        means = pl_module.curves.flush(trainer.global_step)
        if self.run.log is not None:
            self.run.log(means, trainer.global_step)
        pl_module.check(means)
        self.run.resume.mkdir(parents=True, exist_ok=True)
        partial = self.run.resume / "partial.ckpt"
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
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


class StepProgress(Callback):
    """Shows the steps of a training."""

    def __init__(self, bar: Steps) -> None:
        self.bar = bar

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Move the bar."""
        loss = float(outputs["loss"]) if isinstance(outputs, dict) else float("nan")
        self.bar.update(trainer.global_step, note=f"loss {loss:.3f}")


def fit(
    module: SteppedModule,
    stream: Stream,
    maker: Maker[Any],
    run: RunContext,
    *,
    measure: Callable[[], dict[str, float]] | None = None,
    title: str,
    state: Path | None = None,
) -> None:
    """Train `module`, in place, to its last step, from the checkpoint in `run.resume` if any.

    Args:
        module: its curves are filled, too.
        stream: which samples make which batch.
        maker: makes the batch.
        run: surroundings.
        measure: called after each leg for validation figures.
        title: for the progress bar.
        state: checkpoint of another training to go on from where `run.resume` has none yet.
    """
    config = module.optimisation
    quiet_lightning()
    data = LegData(stream, maker, config)
    checkpoint = run.resume / CHECKPOINT
    bar = Steps(title, config.steps, run.progress, " steps")
    with bar, warnings.catch_warnings(), deterministic():
        # Batches come from our own processes, in a number that suits this training.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*number of training batches.*")
        # A checkpoint is always between two legs, whatever their lengths; after the last one
        # there are no more batches.
        warnings.filterwarnings("ignore", ".*ended before the epoch ended.*")
        warnings.filterwarnings("ignore", "Total length of .* across ranks is zero.*")
        # Lightning's own use of a name that torch has renamed.
        warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
        trainer = L.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            # Phases freeze parts of a model, which plain DDP takes for a mistake.
            strategy="ddp_find_unused_parameters_true" if config.processes > 1 else "auto",
            accumulate_grad_batches=config.batches // config.processes,
            precision=config.arithmetic,
            max_steps=config.steps,
            max_epochs=-1,
            gradient_clip_val=CLIP,
            reload_dataloaders_every_n_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            callbacks=[EndOfLeg(run, measure), StepProgress(bar)],
        )
        trainer.fit(
            module,
            datamodule=data,
            ckpt_path=checkpoint if checkpoint.is_file() else state,
            weights_only=True,
        )
    if trainer.global_step < config.steps:
        raise RuntimeError(f"training ended at step {trainer.global_step} of {config.steps}")


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic algorithms where there are any, and afterwards what was set before."""
    before = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=lenient)


def quiet_lightning() -> None:
    """Only warnings from Lightning: its tips and device lines are no help in a pipeline's log."""
    for name in ("lightning", "lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
