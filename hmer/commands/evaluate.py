"""`hmer evaluate`: score a model on any labelled set."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from hmer.commands.output import check_file
from hmer.commands.recognize import MODEL_HELP, chosen_model

if TYPE_CHECKING:
    from hmer.evaluation.labelled import Scored


_SHOWN = 5
_DRAWN = 1.5
"""Scale of the pictures that ink is drawn as, times the recogniser's own."""


class As(StrEnum):
    """What a recogniser is given of ink."""

    ink = "ink"
    pictures = "pictures"


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder or package (.zip, .tar.gz, .tar.xz) of labelled InkML, or of pictures "
            "with --captions."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help=MODEL_HELP),
    ] = None,
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
    captions: Annotated[
        Path | None,
        typer.Option(
            help="Lines of an id, a tab and LaTeX (also CSV, JSON, JSON lines), in place of "
            "the truths in the files; of pictures, their only truths."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many files at most, spread evenly.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every truth and reading to this CSV file.")
    ] = None,
    given: Annotated[
        As,
        typer.Option(
            "--as",
            help="ink: drawn at the scale its strokes tell; pictures: drawn, and scale, pen and "
            "slant estimated from the pixels, as for any picture.",
        ),
    ] = As.ink,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print ExpRate and its companions over every expression that has a truth.

    An expression that cannot be read counts as wrong and is listed; a file without a truth does
    not count, and is listed too.
    """
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.evaluation.labelled import as_pictures, read_labelled, score
    from hmer.progress import Steps
    from hmer.recognizer import Recognizer

    if out is not None:
        check_file(out, "--out")
    recognizer = Recognizer.load(chosen_model(model))
    with Steps("read", None, unit=" files") as steps:
        found = read_labelled(
            path, recognizer.render, recognizer.vocabulary.name, captions, limit,
            progress=steps.update, enlarged=_DRAWN if given is As.pictures else 1.0,
        )  # fmt: skip
    if found.pictures:
        given = As.pictures
    elif given is As.pictures:
        found = as_pictures(found, recognizer.prepare)
    with Steps("recognise", len(found.images), unit=" expressions") as steps:
        scored = score(recognizer, found, DecodingConfig(beam=beam), steps.advance)
    if found.unmatched:
        names = ", ".join(found.unmatched[:_SHOWN])
        more = ", ..." if len(found.unmatched) > _SHOWN else ""
        _say(f"warning: --captions: {len(found.unmatched)} ids match no file: {names}{more}")
    if as_json:
        answer = _answer(path, scored, beam, given) | {"unmatched_captions": found.unmatched}
        sys.stdout.write(json.dumps(answer) + "\n")  # in ASCII, whatever the terminal can show
    else:
        _print(path, scored)
    if out is not None:
        scored.write(out)


def _say(text: str, *, to: TextIO | None = None) -> None:
    """A line, by default on standard error; signs that the terminal lacks are escaped."""
    stream = to or sys.stderr
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _answer(path: Path, scored: Scored, beam: int, given: As) -> dict[str, Any]:
    scores, unreadable = scored.scores, scored.scores.summary.unreadable
    return {
        "set": path.resolve().name,
        "as": given.value,
        **{
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in scored.numbers().items()
        },
        "exprate_interval": [round(scores.exprate.low, 3), round(scores.exprate.high, 3)],
        "seconds": round(scored.seconds, 3),
        "beam": beam,
        "unreadable": list(unreadable),
        "reasons": {name: scored.reasons.get(name, "") for name in unreadable},
        "unlabelled": scored.unlabelled,
    }


def _print(path: Path, scored: Scored) -> None:
    """A table for a person."""
    from rich.console import Console
    from rich.table import Table

    from hmer.evaluation.metrics import METRICS

    scores, summary = scored.scores, scored.scores.summary
    table = Table(
        "", "as written", "spelled alike", title=f"{path.resolve().name}: {summary.n} expressions"
    )
    numbers = scored.numbers()
    for row in METRICS.values():
        alike = METRICS.get(f"{row.name}_canonical")
        graphs = row.name.startswith("label_graphs.")
        if row.name in numbers and row.name != "n" and (row.headline or alike or graphs):
            table.add_row(
                row.heading,
                row.text(numbers[row.name]),
                alike.text(numbers[alike.name]) if alike else "",
            )
    console = Console()
    with console.capture() as drawn:
        console.print(table)
    _say(drawn.get().rstrip(), to=sys.stdout)
    _say(
        f"ExpRate 95 % interval {scores.exprate.low:.1f} to {scores.exprate.high:.1f}; "
        f"{scored.seconds:.1f} s; "
        f"{len(summary.unreadable)} unreadable (wrong), {scored.unlabelled} without a truth",
        to=sys.stdout,
    )
    for name in summary.unreadable:
        _say(f"  unreadable: {name}: {scored.reasons.get(name, '')}", to=sys.stdout)
