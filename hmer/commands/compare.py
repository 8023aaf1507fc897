"""`hmer compare`: what one evaluation has that the other lacks, with how sure that is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hmer.commands.output import check_file

if TYPE_CHECKING:
    from hmer.evaluation.bootstrap import Interval
    from hmer.evaluation.comparison import Comparison, PairedDifference

MINUS = "\N{MINUS SIGN}"


def compare(
    old: Annotated[
        Path, typer.Argument(help="Folder of an evaluation (reports/evaluation), or of one set.")
    ],
    new: Annotated[Path, typer.Argument(help="The same of another run.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write what only one of them has right to this CSV file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two evaluations expression by expression.

    Differences are NEW minus OLD in points, with their 95 % paired bootstrap interval, for whole
    expressions and for every amount of missing ink that both have read.
    """
    from hmer.evaluation.comparison import compare_evaluations, write_changed

    if out is not None:
        check_file(out, "--out")
    found = compare_evaluations(old, new)
    if out is not None:
        write_changed(out, found)
    if as_json:
        sys.stdout.write(json.dumps([_answer(one) for one in found], ensure_ascii=False) + "\n")
    else:
        _print(found)


def _answer(one: Comparison) -> dict[str, Any]:
    def points(interval: Interval) -> list[float]:
        return [round(value, 3) for value in interval]

    return {
        "set": one.name,
        "won": one.won,
        "lost": one.lost,
        "left_out": one.alone,
        "conditions": [
            {
                "series": row.series,
                "level": row.level,
                "n": row.n,
                "exprate_old": round(row.rates[1], 3),
                "exprate_new": round(row.rates[0], 3),
                "exprate": points(row.exprate),
                "cer": points(row.cer),
                "same_pictures": row.alike,
            }
            for row in one.differences
        ],
    }


def _print(found: list[Comparison]) -> None:
    """Tables for a person."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for one in found:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.title = f"{one.name}: ExpRate and CER, percent"
        table.add_column("read", no_wrap=True)
        for heading in ("n", "old", "new", "gain", "change of CER"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in one.differences:
            rates = [_number(rate) for rate in reversed(row.rates)]
            table.add_row(
                _condition(row), str(row.n), *rates, _points(row.exprate), _points(row.cer)
            )
        console.print(table)
        text = f"Only the new one has {one.won} right, only the old one {one.lost}."
        if one.alone:
            text += f" {one.alone} that only one of them has read are left out."
        if not all(row.alike for row in one.differences):
            text += " The hidden ink is not the same in both: less sure than it looks."
        console.print(text, highlight=False)


def _condition(row: PairedDifference) -> str:
    from hmer.evaluation.prediction import PLAIN

    if row.series == PLAIN:
        return "as it is"
    return f"{row.series} {row.level:.0%}" if row.level < 1 else f"{row.series} {row.level:g}"


def _points(interval: Interval) -> str:
    mean, low, high = (_number(value) for value in interval)
    return f"{'' if mean.startswith(MINUS) else '+'}{mean} ({low} to {high})"


def _number(value: float) -> str:
    """One decimal; none from 100 on, for the table's width."""
    return f"{value:.{0 if abs(value) > 99.94 else 1}f}".replace("-", MINUS)
