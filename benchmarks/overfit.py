"""Can every recogniser learn a handful of expressions by heart, and in what time?

    python -m benchmarks.overfit DATASET [NAME ...] [--encoder densenet] [--json]

A check of the whole chain, from ink to greedy decoding: a recogniser that cannot learn 64
expressions has a mistake somewhere. Small sizes, no dropout, one thread. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hmer.data.batches import PlannedBatch
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import draw
from hmer.data.supervised import SupervisedMaker
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.registry import RECOGNISERS, build_recogniser
from hmer.recognizer import Recognizer
from hmer.training.optimisation import CLIP, OptimisationConfig, adamw

EXPRESSIONS = 64
WANTED = 95.0
"""Percent of the expressions to be read without mistake."""
RENDER = RenderConfig(unit=10)
COUNT = 16
"""Expressions in a batch, of about one size."""
GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=120)
OPTIMISATION = OptimisationConfig(
    steps=2000, learning_rate=3e-3, warmup=0.05, weight_decay=0.0, precision="32-true"
)
CHECK_EVERY = 50
"""Steps between two readings of all expressions."""

ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "compact": {"name": "compact", "width": 16, "blocks": [1, 1, 1]},
    "densenet": {"name": "densenet", "growth": 12, "layers": 4, "dropout": 0.0},
}
TRANSFORMER = {"layers": 2, "width": 64, "heads": 4, "feedforward": 128, "dropout": 0.0}
RECURRENT = {"width": 128, "attention": 64, "inner": 64, "dropout": 0.0}


@dataclass(frozen=True, slots=True)
class Overfit:
    """How one recogniser fared."""

    name: str
    encoder: str
    exprate: float
    """Percent, greedy, of the expressions it was trained on."""
    steps: int
    seconds: float
    """Of processor time, on one thread, for training; reading is not counted."""

    @property
    def learnt(self) -> bool:
        """Whether it reads enough of them."""
        return self.exprate >= WANTED


def overfit(name: str, encoder: str, expressions: Expressions, words: Vocabulary) -> Overfit:
    """Train until enough is read without mistake, or the steps are used up."""
    torch.manual_seed(0)
    decoder = RECURRENT if name == "attention-coverage" else TRANSFORMER
    model = build_recogniser(name, {"encoder": ENCODERS[encoder], "decoder": decoder}, words)
    maker = SupervisedMaker(expressions, words, RENDER, None, model.stride)
    plans = _plans(expressions, model.stride)
    batches = [maker(plan, np.random.default_rng(0)) for plan in plans]
    truths = [[expressions.tokens[int(i)] for i in plan.samples] for plan in plans]
    optimiser, schedule = adamw(model.named_parameters(), OPTIMISATION)
    order = _shuffled(len(batches))
    seconds, exprate, step = 0.0, 0.0, 0
    while step < OPTIMISATION.steps and exprate < WANTED:
        began = time.process_time()
        model.train()
        for _ in range(CHECK_EVERY):
            losses, _ = model.losses(batches[next(order)])
            optimiser.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            schedule.step()
        step += CHECK_EVERY
        seconds += time.process_time() - began
        exprate = _greedy_exprate(model, batches, truths, words)
        mean = float(torch.stack(list(losses.values())).sum().detach())
        sys.stderr.write(f"{name}: step {step}, loss {mean:.3f}, ExpRate {exprate} %\n")
    return Overfit(name, encoder, exprate, step, round(seconds, 1))


def _plans(expressions: Expressions, stride: int) -> list[PlannedBatch]:
    """Batches of expressions of about one size, padded to the largest of them."""
    rng = np.random.default_rng(0)
    count = len(expressions.tokens)
    sizes = np.array(
        [
            draw(expressions.written(i), RENDER, None, rng, 1.0, 2000, 4000).image.shape
            for i in range(count)
        ]
    )
    by_area = sizes.prod(axis=1).argsort(kind="stable")
    plans = []
    for part in np.split(by_area, range(COUNT, count, COUNT)):
        height, width = -(-(sizes[part].max(axis=0) + 2) // stride) * stride
        plans.append(PlannedBatch(part, np.ones(len(part)), int(height), int(width)))
    return plans


def _shuffled(count: int) -> Iterator[int]:
    """Numbers below `count`, all of them again and again, in random order."""
    rng = np.random.default_rng(0)
    return itertools.chain.from_iterable(rng.permutation(count).tolist() for _ in itertools.count())


def _greedy_exprate(
    model: Recogniser, batches: list[Batch], truths: list[list[list[str]]], words: Vocabulary
) -> float:
    """Percent of the expressions that are read without mistake."""
    recognizer = Recognizer(model, words, RENDER)
    right = 0
    for batch, captions in zip(batches, truths, strict=True):
        images = (batch.images[:, 0] * 255).round().to(torch.uint8).numpy()
        found = recognizer.read(list(images), GREEDY)
        right += sum(list(r.tokens) == c for r, c in zip(found, captions, strict=True))
    return round(100 * right / sum(map(len, truths)), 1)


def main() -> None:
    """Train those that are named, or all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.overfit")
    parser.add_argument("dataset", type=Path, help="an ingested data set (train.parquet)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RECOGNISERS))
    parser.add_argument("--encoder", choices=sorted(ENCODERS), default="compact")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in RECOGNISERS]:
        parser.error(f"no recogniser named {unknown[0]!r}; there are: {', '.join(RECOGNISERS)}")
    torch.set_num_threads(1)
    try:
        text = (given.dataset / "vocabulary.json").read_text(encoding="utf-8")
        expressions = load_expressions(given.dataset / "train.parquet").head(EXPRESSIONS)
    except (HmerError, OSError) as error:
        parser.error(str(error))
    words = Vocabulary.from_json(text)
    rows = []
    for name in given.names or RECOGNISERS:
        row = overfit(name, given.encoder, expressions, words)
        rows.append(row)
        if not given.json:
            sys.stdout.write(
                f"{row.name:20} {row.encoder:9} ExpRate {row.exprate:5.1f} % after {row.steps:5} "
                f"steps, {row.seconds:7.1f} s\n"
            )
            sys.stdout.flush()
    if given.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
    sys.exit(0 if all(row.learnt for row in rows) else 1)


if __name__ == "__main__":
    main()
