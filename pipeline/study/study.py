"""One study from its file to its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hmer.errors import HmerError
from pipeline.params import closest
from pipeline.study.config import StudyConfig, load_study
from pipeline.study.report import Outcome, absent, write_report
from pipeline.study.rows import Row, Say, finished, metrics, rows, run


def study(
    root: Path,
    name: str,
    *,
    only: Sequence[str],
    seeds: Sequence[int] | None,
    settings: Sequence[str],
    jobs: int,
    keep: bool,
    act: str,
    say: Say,
) -> int:
    """Run the rows that are not finished, and write the report of those that are.

    Args:
        root: the project.
        name: of the study.
        only: variants; all if none is named.
        seeds: others than its own.
        settings: `dotted.key=value` on its configuration.
        jobs: rows at a time.
        keep: count rows that earlier code has finished.
        act: `run`, `list` what would be run, or `report` alone.
        say: gets a line about whatever happens.

    Returns:
        Exit code: 1 if a row has failed.

    Raises:
        HmerError: anything that would stop it later on, as far as it can be known now.
    """
    config = load_study(root, name)
    every = rows(root, name, config, seeds, settings)
    todo = [row for row in _chosen(config, name, every, only) if finished(root, row, keep) is None]
    if act == "list":
        for row in every:
            say(f"{row.name}: {'to do' if row in todo else 'finished, or not chosen'}")
        return 0
    failed = run(root, todo, jobs, say) if todo and act == "run" else {}
    outcomes = [_outcome(root, config, row, failed) for row in every]
    if any(outcome.state == "finished" for outcome in outcomes):
        for metric, names in absent(config, outcomes).items():
            known = sorted(next(o.metrics for o in outcomes if o.row.name == names[0]))
            meant = closest(metric, known)
            hint = f" (did you mean {meant}?)" if meant else ""
            say(f"warning: {len(names)} rows have no metric {metric!r}{hint}")
        say(str(write_report(root, name, config, outcomes)))
    elif not failed:
        raise HmerError(f"no row of {name} is finished: there is nothing to report")
    return 1 if failed else 0


def _chosen(config: StudyConfig, name: str, every: Sequence[Row], only: Sequence[str]) -> list[Row]:
    known = list(config.variants)
    for variant in only:
        if variant not in known:
            meant = closest(variant, known)
            hint = f"; did you mean {meant}?" if meant else ""
            raise HmerError(f"{name} has no variant {variant!r}, only {', '.join(known)}{hint}")
    return [row for row in every if not only or row.variant in only]


def _outcome(root: Path, config: StudyConfig, row: Row, failed: dict[str, str]) -> Outcome:
    commit = finished(root, row, any_code=True)
    if row.name in failed or commit is None:
        reason = failed.get(row.name, "")
        return Outcome(row, "failed" if reason else "not run", reason=reason)
    return Outcome(row, "finished", commit, metrics(root, commit, config.split))
