"""Optimiser and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Linear warm-up to 1, then half a cosine to 0 at `total` (Loshchilov and Hutter, 2017)."""
    if step < warmup:
        return (step + 1) / warmup
    if total <= warmup:
        return 1.0
    share = min(1.0, (step - warmup) / (total - warmup))
    return 0.5 * (1 + math.cos(math.pi * share))


def warmup_stable_decay(step: int, total: int, warmup: int, decay: int) -> float:
    """Linear warm-up to 1, a plateau, and 1 - sqrt to 0 over the last `decay` steps.

    Before the decay nothing depends on `total`, so a training can go on for ever, and a decay
    branch can start from any checkpoint of the plateau (Haegele et al., 2024, arXiv 2405.18392).
    """
    if step < warmup:
        return (step + 1) / warmup
    decayed = step - (total - decay)
    return 1.0 if decayed <= 0 else 1 - math.sqrt(min(1.0, decayed / decay))


CLIP = 1.0
"""Gradient norm, at most."""


class OptimisationConfig(BaseModel):
    """AdamW with linear warm-up and a decay of the rate to zero inside the budget of steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0, description="optimiser steps in all")
    leg: int = Field(100, gt=0, description="steps between checkpoints")
    learning_rate: float = Field(1e-3, gt=0, le=1)
    schedule: Literal["cosine", "warmup-stable-decay"] = "cosine"
    warmup: float = Field(0.05, ge=0, description="share of the steps; from 1 on: steps")
    decay: int = Field(0, ge=0, description="last steps, in which warmup-stable-decay decays")
    weight_decay: float = Field(0.01, ge=0, le=1)
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto", description="auto: bf16 autocast where the processor multiplies in it, else fp32"
    )
    workers: int = Field(1, ge=0, le=64, description="processes that make batches; 0: none")
    batches: int = Field(1, ge=1, le=4096, description="batches averaged in a step, over all")
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(1, ge=1, le=1024, description="processes on each node, one per device")
    nodes: int = Field(1, ge=1, le=1024, description="machines")

    @property
    def arithmetic(self) -> Literal["bf16-mixed", "32-true"]:
        """The precision that this machine trains in."""
        if self.precision != "auto":
            return self.precision
        on_gpu = self.accelerator != "cpu" and torch.cuda.is_available()
        fast = torch.cuda.is_bf16_supported() if on_gpu else has_native_bf16()
        return "bf16-mixed" if fast else "32-true"

    @property
    def processes(self) -> int:
        """Processes that train, on all machines."""
        return self.devices * self.nodes

    @model_validator(mode="after")
    def _steps_and_batches_come_out(self) -> OptimisationConfig:
        if self.decay > self.steps:
            raise ValueError(f"decay = {self.decay} steps are more than the {self.steps} in all")
        if self.decay and self.schedule == "cosine":
            raise ValueError("decay belongs to schedule: warmup-stable-decay")
        if self.batches % self.processes:
            raise ValueError(
                f"batches = {self.batches} cannot be shared by {self.processes} processes "
                "(devices x nodes): make it a multiple"
            )
        return self


def has_native_bf16() -> bool:
    """Whether the processor multiplies bfloat16 by itself.

    Emulated (AVX2 alone, say), it is 10 to 50 times slower than fp32.
    """
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def adamw(
    parameters: Iterable[tuple[str, nn.Parameter]], config: OptimisationConfig
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """Optimiser and schedule; vectors (norms, biases) are not decayed."""
    trained = [p for _, p in parameters if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    warmup = round(config.warmup * (config.steps if config.warmup < 1 else 1))

    def factor(step: int) -> float:
        if config.schedule == "cosine":
            return warmup_cosine(step, config.steps, warmup)
        return warmup_stable_decay(step, config.steps, warmup, config.decay)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
