"""`hmer models`: the recognisers that can be trained."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """List every recogniser with its size; `model.name` in params.yaml chooses one.

    Sizes are those of the default settings, which for published systems are the published ones.
    """
    from rich.console import Console
    from rich.table import Table

    from hmer.models.registry import listing

    found = listing()
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=2) + "\n")
        return
    table = Table("name", "encoder", "weights (M)", "to read (M)", "vocabulary")
    for one in found:
        table.add_row(
            one.name,
            one.encoder,
            f"{one.parameters / 1e6:.3f}",
            f"{one.inference / 1e6:.3f}",
            f"{one.vocabulary} ({one.dialect})",
        )
    Console().print(table)
