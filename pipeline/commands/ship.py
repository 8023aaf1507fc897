"""`python -m pipeline ship`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.errors import HmerError
from pipeline.environment import project_root


def ship(
    model: Annotated[Path, typer.Option(help="folder of the recogniser")] = Path(
        "data/models/finetune"
    ),
    evaluation: Annotated[Path, typer.Option(help="its metrics by set")] = Path(
        "reports/evaluation.json"
    ),
    notes: Annotated[
        Path | None, typer.Option(help="Markdown for the card: data, cost, limits")
    ] = None,
) -> None:
    """Put a trained recogniser into the package, for everyone: half precision, with a card."""
    from pipeline.dependencies import SHIPPED
    from pipeline.registry.shipping import ship

    try:
        text = notes.read_text(encoding="utf-8") if notes else ""
    except OSError as error:
        raise HmerError(f"--notes: {notes} cannot be read ({error.strerror})") from None
    root = project_root()
    sys.stdout.write(f"{ship(root / model, root / evaluation, root / SHIPPED, text)}\n")
