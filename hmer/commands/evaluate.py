"""`hmer evaluate`: score a model on any labelled set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hmer.commands.recognize import MODEL_HELP, chosen_model

if TYPE_CHECKING:
    from hmer.evaluation.scoring import Scored


def evaluate(
    path: Annotated[
        Path, typer.Argument(help="Folder or package (.zip, .tar.gz, .tar.xz) of labelled InkML.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(help=MODEL_HELP),
    ] = None,
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
    captions: Annotated[
        Path | None,
        typer.Option(help="Lines of an id, a tab and tokens, in place of the truths in the files."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many files at most, spread evenly.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every truth and reading to this CSV file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print ExpRate and its companions over every expression that has a truth.

    An expression that cannot be read counts as wrong and is listed; a file without a truth does
    not count, and is listed too.
    """
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.evaluation.labelled import read_labelled
    from hmer.evaluation.scoring import score
    from hmer.progress import Steps
    from hmer.recognizer import Recognizer

    recognizer = Recognizer.load(chosen_model(model))
    with Steps("read", None, unit=" files") as steps:
        found = read_labelled(
            path, recognizer.render, recognizer.vocabulary.name, captions, limit,
            progress=steps.update,
        )  # fmt: skip
    with Steps("recognise", len(found.images), unit=" expressions") as steps:
        scored = score(recognizer, found, DecodingConfig(beam=beam), progress=steps.update)
    if out is not None:
        scored.write(out)
    if as_json:
        sys.stdout.write(json.dumps(_answer(path, scored, beam), ensure_ascii=False) + "\n")
    else:
        _print(path, scored)


def _answer(path: Path, scored: Scored, beam: int) -> dict[str, Any]:
    low, high = scored.interval
    return {
        "set": path.name,
        "n": scored.summary.n,
        **{
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in scored.summary.flat().items()
        },
        "exprate_interval": [round(low, 3), round(high, 3)],
        "seconds": round(scored.seconds, 3),
        "beam": beam,
        "unreadable": list(scored.summary.unreadable),
        "unlabelled": scored.unlabelled,
    }


def _print(path: Path, scored: Scored) -> None:
    """A table for a person."""
    from rich.console import Console
    from rich.table import Table

    summary = scored.summary
    low, high = scored.interval
    table = Table("", "as written", "spelled alike", title=f"{path.name}: {summary.n} expressions")
    for title, name in (
        ("ExpRate %", "exprate"), ("≤ 1 %", "le1"), ("≤ 2 %", "le2"), ("≤ 3 %", "le3"),
        ("CER %", "cer"), ("TER %", "ter"),
    ):  # fmt: skip
        table.add_row(
            title, f"{getattr(summary, name):.2f}", f"{getattr(summary.canonical, name):.2f}"
        )
    table.add_row("structure %", f"{summary.structure_rate:.2f}", "")
    console = Console()
    console.print(table)
    console.print(
        f"ExpRate 95 % interval {low:.1f} to {high:.1f}; {scored.seconds:.1f} s; "
        f"{len(summary.unreadable)} unreadable (wrong), {scored.unlabelled} without a truth"
    )
    for name in summary.unreadable:
        console.print(f"  unreadable: {name}: {scored.reasons.get(name, '')}", highlight=False)
