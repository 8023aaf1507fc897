"""Measurements as tables, or as one JSON object."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Comparison


def publish(report: dict[str, Any]) -> None:
    """Print a report: comparisons, or lists of measurements, by title; JSON with --json."""
    conditions = {
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
    }
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps({**report, "conditions": conditions}, default=_plain) + "\n")
        return
    console = Console()
    for title, found in report.items():
        if isinstance(found, dict):
            for name, rows in found.items():
                console.print(_measurements(f"{title}, {name}", rows))
        else:
            console.print(_comparisons(title, found))
    console.print(", ".join(f"{name} {value}" for name, value in conditions.items()))


def _plain(value: Any) -> dict[str, Any]:
    if not isinstance(value, Comparison):
        raise TypeError(f"{type(value).__name__} is no measurement")
    return {
        "name": value.name,
        "per": value.unit,
        "ours_s": value.ours,
        "reference_s": value.reference,
        "ratio": value.ratio,
    }


def _comparisons(title: str, found: list[Comparison]) -> Table:
    table = Table(title, "per", "ours", "reference", "times faster")
    for c in found:
        seconds = (f"{c.ours * 1e3:.2f} ms", f"{c.reference * 1e3:.2f} ms")
        table.add_row(c.name, c.unit, *seconds, f"{c.ratio:.1f}")
    return table


def _measurements(title: str, rows: list[dict[str, float]]) -> Table:
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.4g}" for value in row.values()))
    return table
