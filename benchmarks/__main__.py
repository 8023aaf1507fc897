"""`python -m benchmarks`: every benchmark, as a table or as JSON."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import decoding, rendering


def main() -> None:
    """Measure and print."""
    found = [*rendering.measure(), *decoding.measure()]
    if "--json" in sys.argv[1:]:
        rows = [
            {"name": c.name, "ours_s": c.ours, "reference_s": c.reference, "ratio": c.ratio}
            for c in found
        ]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("what", "per", "ours", "plain way", "times faster")
    for c in found:
        table.add_row(
            c.name,
            c.unit,
            f"{c.ours * 1e3:.2f} ms",
            f"{c.reference * 1e3:.2f} ms",
            f"{c.ratio:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
