"""Training: `python -m benchmarks.training [--json]`.

A step (forward, backward, update) of `comer`, and of `mask-match` at its own scale, against CoMER
as published (`comer_reference.py`): the same synthetic expressions in the same batches of eight of
like size, the same optimiser and precision (fp32; bf16 too where the processor multiplies in it).
Then what a step of the others takes, and the share of making batches. Full size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from benchmarks.comer_reference import ComerReference
from benchmarks.decoding import PAIR
from benchmarks.material import (
    FIELD_UNIT,
    OUR_UNIT,
    batch,
    expressions,
    field_padding,
    field_reference,
    fresh,
)
from benchmarks.output import publish
from benchmarks.timing import Row, comparison, in_turn
from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.registry import RECOGNISERS
from hmer.training.optimisation import has_native_bf16

COUNT, ROWS = 16, 8
"""Expressions of a measurement, and in a batch."""


def batches(name: str, stride: int, words: Vocabulary) -> tuple[list[Batch], float]:
    """Batches of like size, and the seconds of processor time that making them took."""
    drawn = expressions(OUR_UNIT if name == "mask-match" else FIELD_UNIT)  # before the clock
    began = time.process_time()
    chosen = sorted(drawn[:COUNT], key=lambda one: one[0].size)
    made = [batch(chosen[i : i + ROWS], words, stride) for i in range(0, COUNT, ROWS)]
    return made, time.process_time() - began


def trainer(model: nn.Module, made: list[Batch], *, bf16: bool) -> Callable[[], None]:
    """What takes a step with every batch."""
    optimiser = torch.optim.SGD(model.train().parameters(), lr=1e-4, momentum=0.9)

    def losses(one: Batch) -> list[torch.Tensor]:
        if isinstance(model, ComerReference):
            padding = field_padding(one.images)
            return [model.loss(one.images, padding, one.inputs, one.targets)]
        assert isinstance(model, Recogniser)
        return list(model.losses(one)[0].values())

    def train() -> None:
        for one in made:
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                found = losses(one)
            torch.autograd.backward(found)
            optimiser.step()

    return train


def measure() -> tuple[list[Row], list[Row]]:
    """Seconds per expression against the reference, and the share of making batches."""
    models = {name: fresh(name) for name in PAIR}
    made = {name: batches(name, model.stride, words) for name, (model, words) in models.items()}
    reference = field_reference()
    found = []
    for precision in ("fp32", "bf16") if has_native_bf16() else ("fp32",):
        start = partial(trainer, bf16=precision == "bf16")
        works = {"reference": start(reference, made["comer"][0])}
        works |= {name: start(model, made[name][0]) for name, (model, _) in models.items()}
        seconds = {name: s / COUNT for name, s in in_turn(works, rounds=3).items()}
        found += [
            comparison(
                f"{name}, training step, {precision}",
                "expression",
                seconds[name],
                seconds["reference"],
            )
            for name in PAIR
        ]
    shares = [
        {"recogniser": name, "% of the step": 100 * making / (making + seconds[name] * COUNT)}
        for name, (_, making) in made.items()
    ]
    return found, shares


def others() -> list[Row]:
    """Milliseconds of the other recognisers, an expression, fp32."""
    found = []
    for name in RECOGNISERS:
        if name not in PAIR:
            model, words = fresh(name)
            made, _ = batches(name, model.stride, words)
            seconds = in_turn({name: trainer(model, made, bf16=False)}, rounds=1)[name]
            found.append({"recogniser": name, "ms an expression": 1e3 * seconds / COUNT})
    return found


def report() -> dict[str, list[Row]]:
    """All measurements."""
    found, shares = measure()
    return {"training": found, "making batches": shares, "training step, fp32": others()}


if __name__ == "__main__":
    publish(report())
