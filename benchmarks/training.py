"""Training: `python -m benchmarks.training [--json]`.

A step (forward, backward, update) of every recogniser at its full size on synthetic expressions,
against a plain way: the same model in fp32, attention as products and a softmax instead of one
fused operation, PyTorch's dropout and layout, images in random order and hence much padding.
`mask-match` at its own scale with its own encoder is also compared with `comer` at the field's:
what an expression costs in each. Processor time, of all threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.material import FIELD_UNIT, OUR_UNIT, batch, expressions, fresh
from benchmarks.output import publish
from benchmarks.timing import Comparison
from hmer.models.catalog import RECOGNISERS
from hmer.models.dropout import Dropout
from hmer.models.encoders.densenet import DenseNet
from hmer.models.interface import Batch, Recogniser

COUNT, ROWS = 12, 4
"""Expressions of a measurement, and in a batch."""


def batches(
    name: str, model: Recogniser, words: Any, *, ordered: bool
) -> tuple[list[Batch], float]:
    """Batches of like size, or of random ones; and the seconds that making them took."""
    began = time.process_time()
    chosen = list(expressions(OUR_UNIT if name == "mask-match" else FIELD_UNIT)[:COUNT])
    if ordered:
        chosen.sort(key=lambda one: one[0].size)
    else:
        chosen = [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))]
    starts = range(0, len(chosen) + 1, ROWS)
    made = [batch(chosen[a:b], words, model.stride) for a, b in pairwise(starts)]
    return made, time.process_time() - began


def plainly(model: Recogniser) -> Recogniser:
    """The model as it would be without our own dropout and layout, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Dropout):
                setattr(parent, name, nn.Dropout(child.p))
    if isinstance(model.encoder, DenseNet):
        model.encoder.layout = torch.contiguous_format
    return model


def seconds(model: Recogniser, made: list[Batch], *, plain: bool) -> float:
    """Of processor time, of a pass over the batches, per expression."""
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step(one: Batch) -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=not plain):
            losses, _ = model.losses(one)
        torch.autograd.backward(list(losses.values()))
        optimiser.step()

    backends = [SDPBackend.MATH] if plain else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(backends):
        for one in made:  # oneDNN compiles each new shape; a training sees few, again and again
            step(one)
        began = time.process_time()
        for one in made:
            step(one)
    return (time.process_time() - began) / sum(len(one.images) for one in made)


def measure(names: Iterable[str] = RECOGNISERS) -> tuple[list[Comparison], list[dict[str, float]]]:
    """Seconds per expression of each recogniser, and the share of making batches."""
    found, shares = [], []
    for number, name in enumerate(names):
        model, words = fresh(name)
        model.train()
        expressions(OUR_UNIT if name == "mask-match" else FIELD_UNIT)  # drawn before the clock
        ordered, making = batches(name, model, words, ordered=True)
        ours = seconds(model, ordered, plain=False)
        random = batches(name, model, words, ordered=False)[0]
        reference = seconds(plainly(model), random, plain=True)
        found.append(Comparison(f"{name}, training step", ours, reference, "expression"))
        share = making / (making + ours * COUNT)
        shares.append({"recogniser": number, "percent of the step": 100 * share})
    return found, shares


def report() -> dict[str, Any]:
    """All measurements."""
    found, shares = measure()
    costs = {one.name.split(",")[0]: one for one in found}
    if {"mask-match", "comer"} <= costs.keys():
        ours, theirs = costs["mask-match"].ours, costs["comer"].reference
        name = "mask-match at its scale; plain: comer at the field's, fp32"
        found.append(Comparison(name, ours, theirs, "expression"))
    names = [one.name.split(",")[0] for one in found]
    return {
        "training": found,
        "making batches": {names[int(s.pop("recogniser"))]: [s] for s in shares},
    }


if __name__ == "__main__":
    publish(report())
