"""`python -m pipeline study`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hmer.errors import HmerError
from pipeline.commands.base import Settings
from pipeline.environment import project_root


def study(
    name: Annotated[str | None, typer.Argument(help="study from configs/studies")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT", help="variants; may be repeated, or a,b")
    ] = None,
    seeds: Annotated[
        list[str] | None, typer.Option(metavar="SEED", help="in place of the study's; 0,1,2")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="experiments at a time; they share cores")] = 1,
    settings: Settings = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="count what earlier code has finished; the report says so"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="tables and figure of what is finished")
    ] = False,
) -> int:
    """Run an ablation as DVC experiments, or go on with it, and write its table and figure."""
    from pipeline.study.config import load_study, studies

    root = project_root()
    if name is None:
        for known in studies(root):
            found = load_study(root, known)
            count = f"{len(found.variants)} variants, {len(found.seeds)} seeds"
            say(f"{known}: {found.title} ({count})")
        return 0
    load_study(root, name)  # its mistakes are told before anything heavy is imported
    from pipeline.study.study import Study

    opened = Study.open(root, name, numbers(seeds), tuple(settings or ()))
    todo = opened.chosen(parts(only))
    if dry_run:
        for line in opened.listing(todo, keep):
            say(line)
        return 0
    failed = {} if report_only else opened.run(todo, jobs, say, keep)
    if failed and not any(outcome.state == "finished" for outcome in opened.outcomes()):
        return 1
    say(str(opened.report(say)))
    return 1 if failed else 0


def parts(given: list[str] | None) -> list[str]:
    """Values that may be separated by commas."""
    return [part.strip() for text in given or () for part in text.split(",") if part.strip()]


def numbers(given: list[str] | None) -> list[int] | None:
    """Seeds.

    Raises:
        HmerError: one is not a whole number from 0 on, or is given twice.
    """
    texts = parts(given)
    if not texts:
        return None
    if any(not text.isdecimal() for text in texts) or len(set(texts)) < len(texts):
        raise HmerError(f"--seeds {','.join(texts)}: expected different whole numbers from 0 on")
    return [int(text) for text in texts]


def say(line: str) -> None:
    """A line for the person who waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
