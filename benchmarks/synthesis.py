"""What an expression of a training's synthesis costs, by generator and for the mixture.

    python -m benchmarks.synthesis TRAIN.parquet [--json]

Milliseconds of processor time on one core, to write an expression and to draw it. TRAIN.parquet is
the training split of a data set with ink; the weights are those of the recipes for CROHME.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.output import publish
from benchmarks.timing import Row
from hmer.ingest.material import TrainingInk, read_material
from hmer.ink.render import render
from hmer.synthesis.base import Leakage
from hmer.synthesis.generators import Generators, GeneratorsConfig

MIXTURE = {"decompose": 0.4, "recombine": 0.4, "compose": 0.2}
COUNT, WARM, UNIT = 1500, 100, 14.0


def measure(name: str, weights: Mapping[str, float], material: TrainingInk) -> Row:
    """Write and draw `COUNT` expressions; the generators may decline some."""
    config = GeneratorsConfig.model_validate(dict.fromkeys(MIXTURE, 0.0) | dict(weights))
    generators = Generators(config, material, material.bank, material.held_out or Leakage())
    rng = np.random.default_rng(0)
    for _ in range(WARM):
        generators(rng)
    began = time.process_time()
    written = [found for _ in range(COUNT) if (found := generators(rng)) is not None]
    made = time.process_time()
    for one in written:
        render(one.ink, UNIT)
    drawn = time.process_time()
    return {
        "generator": name,
        "written, ms": 1e3 * (made - began) / len(written),
        "drawn, ms": 1e3 * (drawn - made) / len(written),
        "a second": len(written) / (drawn - began),
        "declined, %": 100 * (1 - len(written) / COUNT),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis")
    parser.add_argument("train", type=Path, help="training split of a data set with ink")
    parser.add_argument("--json", action="store_true")
    material = read_material(parser.parse_args().train)
    chosen = {**{name: {name: 1.0} for name in MIXTURE}, "mixture": MIXTURE}
    rows = [measure(name, weights, material) for name, weights in chosen.items()]
    publish({"synthesis": rows})


if __name__ == "__main__":
    main()
