"""Validation during training, without decoding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hmer.data.batches import BatchConfig, fixed_plans
from hmer.data.supervised import SupervisedMaker
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser


@torch.inference_mode()
def teacher_forced(
    model: Recogniser,
    maker: SupervisedMaker,
    batch: BatchConfig,
    precision: str,
    name: str = "val",
    new: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Loss and ExpRate on a validation set.

    Args:
        model: in evaluation mode.
        maker: of the expressions.
        batch: limits.
        precision: of the training.
        name: in front of the names of the measurements.
        new: (n,), whether the caption of each expression is none of the training captions.

    `val_exprate_forced`: percent of captions (read from left to right) of which every token is
    the likeliest one given the true tokens before it. Greedy decoding gives exactly these
    captions, so this is the greedy ExpRate, without running a decoder. `val_exprate_new`: the same
    of the new captions, if there are any.
    """
    total = tokens = 0.0
    right = np.zeros(len(maker.expressions), dtype=bool)
    device = next(model.parameters()).device
    enabled = precision == "bf16-mixed"
    for _, plan in fixed_plans(maker.expressions.sizes, batch, model.stride):
        made = maker(plan, np.random.default_rng(0)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            _, logits = model.losses(made)
        logits = logits.float()
        known = made.targets != Vocabulary.pad
        total += float(
            functional.cross_entropy(logits[known], made.targets[known], reduction="sum")
        )
        tokens += float(known.sum())
        forth = slice(0, len(made.images))
        # What the search never writes is no rival of the true token either.
        logits[..., [Vocabulary.pad, Vocabulary.sos]] = -torch.inf
        hit = (logits[forth].argmax(dim=-1) == made.targets[forth]) | ~known[forth]
        right[plan.samples] = hit.all(dim=1).cpu().numpy()
    found = {f"{name}_loss": total / tokens, f"{name}_exprate_forced": 100 * float(right.mean())}
    if new is not None and new.any():
        found[f"{name}_exprate_new"] = 100 * float(right[new].mean())
    return found
