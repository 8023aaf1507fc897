"""Self-supervision: `python -m benchmarks.selfsup [--json]`.

What a step of phase 1 costs against a supervised step of the encoder alone (forward, cross-entropy
over 100 classes of the pooled ink, backward, update) on the very same images, both views; against
one on the first views only; what a step of phase 2 costs, and which share of it masking takes.
Everything runs in turn, again and again, and the shortest time of each counts, in CPU seconds
of this process: other programs on the machine make all of them longer, but seldom all rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.material import OUR_UNIT
from benchmarks.output import publish
from hmer.data.batches import PlannedBatch
from hmer.data.dataset import Expressions
from hmer.data.drawing import split_scale
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.augment import AugmentConfig
from hmer.ink.codec import pack
from hmer.ink.render import RenderConfig
from hmer.ink.scale import normalise
from hmer.masking import Curriculum, hide_ink
from hmer.models.common.encoders import CompactEncoder
from hmer.models.common.ink_cells import ink_cells
from hmer.selfsup.attend import AttendConfig, Match
from hmer.selfsup.losses import ink_mean
from hmer.selfsup.pretrain import Contrast, PretrainConfig
from hmer.selfsup.views import ImageMaker, ViewBatch, ViewMaker
from hmer.training.module import SteppedModule
from hmer.training.optimisation import OptimisationConfig, has_native_bf16

COUNT, HEIGHT, WIDTH = 12, 96, 384
"""Expressions in a batch, and the canvas they share."""
CLASSES = 100
SHARE = 0.5
Work = Callable[[], object]


def least(works: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """Least CPU seconds of each piece of work, over rounds in which all have their turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 2):
        for name, work in works.items():
            began = time.process_time()
            work()
            if turn >= 2:  # the first rounds compile kernels
                times[name].append(time.process_time() - began)
    return {name: min(found) for name, found in times.items()}


def expressions() -> Expressions:
    """Synthetic ink, without captions and images: neither is looked at."""
    inks = []
    for task in Synthetic(train=4 * COUNT, val=0, test=0).items(0):
        item = task()
        if isinstance(item, SourceItem) and item.ink and 10 <= len(item.tokens or ()) <= 24:
            inks.append(pack(normalise(item.ink)))
    inks = inks[:COUNT]
    sizes = np.full((len(inks), 2), (HEIGHT, WIDTH), dtype=np.int64)
    names = [str(n) for n in range(len(inks))]
    return Expressions(names, [[]] * len(inks), [b""] * len(inks), list(inks), sizes)


def batches(ink: Expressions, stride: int) -> tuple[ViewBatch, Tensor]:
    """The same expressions for phase 1 and for phase 2."""
    rng = np.random.default_rng(0)
    plan = PlannedBatch(np.arange(len(ink)), np.ones(len(ink)), HEIGHT, WIDTH)
    render = RenderConfig(unit=OUR_UNIT)
    augmentation, scales = split_scale(AugmentConfig())
    views = ViewMaker(ink, render, augmentation, scales, 16, stride, drop_rate=0.05)
    images = ImageMaker(ink, render, augmentation)
    return views(plan, rng), images(plan, rng)


def step(parameters: list[nn.Parameter], losses: Callable[[], list[Tensor]]) -> Work:
    """Forward in bf16 where that is usual, backward, update."""
    optimiser = torch.optim.AdamW(parameters, lr=1e-5)

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bf16()):
            found = losses()
        torch.stack(found).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return run


def trained(module: SteppedModule, batch: Any) -> Work:
    """A training step of a phase."""
    wanted = [p for p in module.parameters() if p.requires_grad]

    def run() -> None:
        inner()
        module.after_step()

    inner = step(wanted, lambda: list(module.losses(batch)[0].values()))
    return run


def supervised(encoder: CompactEncoder, images: Tensor) -> Work:
    """The plain way: an encoder with one linear layer."""
    head = nn.Linear(encoder.channels, CLASSES)
    labels = torch.arange(len(images)) % CLASSES

    def losses() -> list[Tensor]:
        pooled = ink_mean(encoder(images), ink_cells(images, encoder.stride))
        return [functional.cross_entropy(head(pooled).float(), labels)]

    return step([*encoder.parameters(), *head.parameters()], losses)


def matching() -> Match:
    """Phase 2 at a fixed share."""
    config = AttendConfig(
        optimisation=OptimisationConfig(steps=1),
        curriculum=Curriculum(shape="fixed", end=SHARE),
    )
    encoder = CompactEncoder(PretrainConfig(optimisation=OptimisationConfig(steps=1)).encoder)
    match = Match(config, encoder, round(OUR_UNIT), 0)
    match.encoder.eval()
    return match


def works() -> dict[str, Work]:
    """Everything that is timed."""
    torch.manual_seed(0)
    optimisation = OptimisationConfig(steps=1)
    variants = {
        "contrast": PretrainConfig(optimisation=optimisation),
        "global only": PretrainConfig(optimisation=optimisation, local_weight=0.0),
        "local only": PretrainConfig(optimisation=optimisation, global_weight=0.0),
    }
    encoder = CompactEncoder(variants["contrast"].encoder)
    views, images = batches(expressions(), encoder.stride)
    found = {name: trained(Contrast(config, 0), views) for name, config in variants.items()}
    found["supervised, both views"] = supervised(encoder, views.images)
    first = CompactEncoder(variants["contrast"].encoder)
    found["supervised, first views"] = supervised(first, views.images[: len(views.fresh)])
    match = matching()
    found["attend"] = trained(match, images)
    found["masking"] = partial(hide_ink, images, SHARE, match.block)
    return found


def report(rounds: int = 12) -> dict[str, Any]:
    """All measurements: CPU milliseconds, and ratios."""
    seconds = least(works(), rounds)
    plain, half = seconds["supervised, both views"], seconds["supervised, first views"]
    contrast = {
        name: [{
            "CPU ms": 1e3 * seconds[name],
            "times a supervised step on both views": seconds[name] / plain,
            "times one on the first views": seconds[name] / half,
        }]
        for name in ("contrast", "global only", "local only")
    }  # fmt: skip
    matching = {
        "step, CPU ms": 1e3 * seconds["attend"],
        "masking, CPU ms": 1e3 * seconds["masking"],
        "masking, percent of the step": 100 * seconds["masking"] / seconds["attend"],
    }
    return {"phase 1": contrast, "phase 2": {"blocks": [matching]}}


if __name__ == "__main__":
    publish(report())
