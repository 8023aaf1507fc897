"""Tracking: `python -m benchmarks.tracking [--json]`.

A training step of Mask & Match at the default size (forward, backward, AdamW), in legs, with the
project's tracker on an SQLite store and without, in turn. A leg with the tracker ends as it does in
the pipeline: the means of its curves are logged.

The difference of two noisy times says little about one percent; the seconds spent inside the
tracker, and those that the processor spent there, say more. Both are given.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.material import OUR_UNIT, batch, expressions, fresh
from benchmarks.output import publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.tracking.tracker import Tracker

ROWS = 16
"""Expressions in a batch: about what the default's 400,000 pixels hold."""
STEPS, ROUNDS, LEG = 10, 8, 100
"""Steps of a leg here, legs of each kind, and steps of a leg in the default parameters."""
CURVES = ("loss", "loss_forward", "loss_backward", "loss_count", "token_accuracy", "val_loss",
          "val_token_accuracy", "val_exprate_forced", "learning_rate")  # fmt: skip


def training() -> Callable[[], float]:
    """A step that may be made again and again; it gives the loss."""
    model, words = fresh("mask-match")
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    one = batch(list(expressions(OUR_UNIT, ROWS)), words, model.stride)

    def step() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            losses, _ = model.losses(one)
        torch.autograd.backward(list(losses.values()))
        optimiser.step()
        return float(sum(loss.detach() for loss in losses.values()))

    return step


@contextmanager
def tracker() -> Iterator[Tracker]:
    """The door to MLflow that a training has, on a store of its own."""
    from pipeline.env import apply_environment
    from pipeline.tracking.store import connect
    from pipeline.tracking.tracker import Tracker

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        apply_environment(Path(folder))
        client, experiment = connect(Path(folder))
        run_id = client.create_run(experiment).info.run_id
        yield Tracker(client, run_id, "benchmark", experiment)


def measure(steps: int = STEPS, rounds: int = ROUNDS) -> dict[str, float]:
    """Medians over the legs, seconds; shares in percent of a leg of the default parameters."""
    step = training()
    legs: dict[bool, list[float]] = {True: [], False: []}
    inside: list[float] = []
    processor: list[float] = []
    at_work: list[float] = []
    with tracker() as told:
        for turn in range(2 * (rounds + 1)):
            tracked = bool(turn % 2)
            began, began_work = time.perf_counter(), time.process_time()
            losses = [step() for _ in range(steps)]
            done, done_work = time.perf_counter(), time.process_time()
            if tracked:
                told.metrics(dict.fromkeys(CURVES, statistics.fmean(losses)), turn * steps)
            if turn < 2:
                continue  # to warm up: first use of kernels and of the store
            legs[tracked].append((time.perf_counter() - began) / steps)
            at_work.append((done_work - began_work) / steps)
            if tracked:
                inside.append(time.perf_counter() - done)
                processor.append(time.process_time() - done_work)
    with_it, without = statistics.median(legs[True]), statistics.median(legs[False])
    return {
        "step without, s": without,
        "step with, s": with_it,
        f"with / without, leg of {steps}": with_it / without,
        "inside the tracker, s a leg": statistics.median(inside),
        "of the processor, s a leg": statistics.median(processor),
        f"% of a leg of {LEG}": 100 * statistics.median(inside) / (LEG * without),
        f"% of its processor time, leg of {LEG}": (
            100 * statistics.median(processor) / (LEG * statistics.median(at_work))
        ),
    }


def report() -> dict[str, Any]:
    """As a table of one line."""
    return {"tracking": {"training step": [measure()]}}


if __name__ == "__main__":
    publish(report())
