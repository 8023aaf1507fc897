"""Measurements as tables, or with `--json` as one JSON object."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Row


def publish(report: Mapping[str, Sequence[Row]]) -> None:
    """Print the lines of a report by title, and what they were measured under."""
    conditions = {
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
    }
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps({**report, "conditions": conditions}) + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, rows in report.items():
        table = Table(*rows[0], title=title)
        for row in rows:
            table.add_row(*map(_shown, row.values()))
        console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in conditions.items()))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
