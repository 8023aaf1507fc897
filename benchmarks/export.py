"""Reading by PyTorch, by onnxruntime, and by onnxruntime with matrices of 8 bits.

    python -m benchmarks.export MODEL DATASET [--limit 200] [--beam 10] [--threads 1] [--json]

Seconds per expression, one by one as they come in use, and what rounding costs in ExpRate. Reads
the validation expressions of an ingested data set, spread evenly; never a test set.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.output import publish
from benchmarks.timing import Row
from hmer.data.dataset import load_expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.export.convert import exportable
from hmer.export.folder import convert, header, write
from hmer.models.checkpoint import load_recogniser
from hmer.recognizer import Recognizer

WARM = 3
"""Expressions that are read before the clock runs."""


def measure(model: Path, dataset: Path, limit: int, beam: int) -> list[Row]:
    """All three ways over the same expressions, which take turns."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = {
            "PyTorch": model,
            "onnxruntime": Path(temporary) / "plain",
            "onnxruntime, int8": Path(temporary) / "int8",
        }
        own = load_recogniser(model)
        chosen = exportable(own.model)
        graphs = convert(chosen)
        for name, folder in list(folders.items())[1:]:
            about = header(own.reads, int8="int8" in name)
            write(graphs, chosen, about, folder, int8="int8" in name)
        ways = {name: Recognizer.load(folder) for name, folder in folders.items()}
        sizes = {name: megabytes(folder) for name, folder in folders.items()}
        return read(ways, sizes, dataset, limit, beam)


def read(
    ways: Mapping[str, Recognizer],
    sizes: Mapping[str, float],
    dataset: Path,
    limit: int,
    beam: int,
) -> list[Row]:
    """Every expression by every way in turn."""
    expressions = load_expressions(dataset / "val.parquet")
    count = min(limit, len(expressions))
    chosen = np.linspace(0, len(expressions) - 1, count).astype(int).tolist()
    decoding = DecodingConfig(beam=beam)
    for way in ways.values():
        for index in chosen[:WARM]:
            way.read([expressions.image(index)], decoding)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    found: dict[str, list[tuple[str, ...]]] = {name: [] for name in ways}
    for index in chosen:
        image = expressions.image(index)
        for name, way in ways.items():
            began = time.perf_counter(), time.process_time()
            (answer,) = way.read([image], decoding)
            seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
            found[name].append(answer.tokens)
    truths = [tuple(expressions.tokens[index]) for index in chosen]
    reference = found[next(iter(ways))]
    cpu = {name: 1e3 * float(np.mean([used for _, used in seconds[name]])) for name in ways}
    return [
        {
            "way": name,
            "ms (median)": 1e3 * float(np.median([wall for wall, _ in seconds[name]])),
            "ms of CPU (mean)": cpu[name],
            "times faster": next(iter(cpu.values())) / cpu[name],
            "ExpRate": percent(found[name], truths),
            "% the same": percent(found[name], reference),
            "MB": sizes[name],
        }
        for name in ways
    ]


def percent(some: list[tuple[str, ...]], others: list[tuple[str, ...]]) -> float:
    """How many are equal."""
    return 100 * float(np.mean([a == b for a, b in zip(some, others, strict=True)]))


def megabytes(folder: Path) -> float:
    """Of the weights or graphs in a folder, or of one file."""
    files = [folder] if folder.is_file() else folder.iterdir()
    return sum(f.stat().st_size for f in files if f.suffix in (".safetensors", ".onnx")) / 1e6


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.export")
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    try:
        rows = measure(asked.model, asked.dataset, asked.limit, asked.beam)
    except HmerError as error:
        sys.exit(f"error: {error}")
    publish({f"{asked.limit} expressions, beam {asked.beam}": rows})


if __name__ == "__main__":
    main()
