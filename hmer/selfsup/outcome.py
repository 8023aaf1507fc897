"""What both phases leave beside their weights: curves, and the last values of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hmer.training.curves import Curves


def write_outcome(curves: Curves, names: Iterable[str], out: Path) -> dict[str, float]:
    """Write `curves.csv` and `metrics.json` into the folder `out`.

    Args:
        curves: of the whole training.
        names: of the curves whose newest value is a metric; what was never measured is left out.
        out: existing directory.
    """
    known = {name for _, name, _ in curves.rows}
    metrics = {name: round(curves.last(name), 4) for name in names if name in known}
    curves.write(out / "curves.csv")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return metrics
