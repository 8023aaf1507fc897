"""A study as rows, every variant with every seed: run as DVC experiments, then reported.

A row runs in DVC's queue (`dvc exp run --queue`, `--run-all`), in a copy of the project. It is done
when DVC keeps an experiment of its name, with its parameters, made by today's code. What several
rows share (the data set, a pretrained encoder) comes from DVC's run cache after the first of them.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hmer.errors import HmerError
from hmer.files import atomic_file
from pipeline.configure import check_params, composed, merge
from pipeline.dvcfile import DVC, EVALUATION, PARAMS
from pipeline.env import FLOW_LOCK, RESUME
from pipeline.params import BASE, did_you_mean, leaves
from pipeline.process import guard, hold, run_group
from pipeline.study.config import FOLDER as STUDIES
from pipeline.study.config import TARGET, StudyConfig, load_study
from pipeline.study.report import Outcome, absent, write_report
from pipeline.tracking.provenance import CODE, cores, git
from pipeline.tracking.store import EXPERIMENT

FIXED = ("ingest", "evaluate")
"""Stages whose seed does not change with the training's: data and hidden ink stay the same."""
SAVED = f"{RESUME}/study-params.yaml"
"""The project's own parameters, while those of a row are in their place."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One variant with one seed.

    `params` are those of `params.yaml`, all sections, and `text` the same as the file; `raw` are
    the files and folders with data that they name.
    """

    study: str
    variant: str
    seed: int
    params: Mapping[str, Any] = field(repr=False)
    text: str = field(default="", repr=False)
    raw: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Of the DVC experiment."""
        return f"{self.study}-{self.variant}-{self.seed}"


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
        jobs: rows at a time; they share the cores.
        keep: count rows that earlier code has finished.
        act: `run`, `list` what would be run, or `report` alone.
        say: gets a line about whatever happens.

    Returns:
        Exit code: 1 if a row has failed.

    Raises:
        HmerError: anything that would stop it later on, as far as it can be known now.
    """
    config = load_study(root, name)
    known = list(config.variants)
    for variant in only:
        if variant not in known:
            hint = did_you_mean(variant, known)
            raise HmerError(f"{name} has no variant {variant!r}, only {', '.join(known)}{hint}")
    every = rows(root, name, config, seeds, settings)
    chosen = [row for row in every if not only or row.variant in only]
    todo = [row for row in chosen if finished(root, row, keep) is None]
    if act == "list":
        for row in every:
            say(f"{row.name}: {'to do' if row in todo else 'finished, or not chosen'}")
        return 0
    failed = run(root, todo, jobs, say) if todo and act == "run" else {}
    outcomes = [_outcome(root, config, row, failed) for row in every]
    if any(outcome.state == "finished" for outcome in outcomes):
        for metric, names in absent(config, outcomes).items():
            there = sorted(next(o.metrics for o in outcomes if o.row.name in names))
            hint = did_you_mean(metric, there)
            say(f"warning: {len(names)} rows have no metric {metric!r}{hint}")
        say(str(write_report(root, name, config, outcomes)))
    elif not failed:
        raise HmerError(f"no row of {name} is finished: there is nothing to report")
    return 1 if failed else 0


def rows(
    root: Path,
    name: str,
    study: StudyConfig,
    seeds: Sequence[int] | None = None,
    settings: Sequence[str] = (),
) -> list[Row]:
    """All rows of a study, seed by seed: a study cut short has whole tables of some seeds.

    Raises:
        HmerError: parameters that are unknown or out of range, with the variant; data that are
            not there.
    """
    yaml, base = composed(root, study.configuration, settings)
    made = [
        _row(yaml, deepcopy(base), name, study, variant, seed)
        for seed in dict.fromkeys(study.seeds if seeds is None else seeds)
        for variant in study.variants
    ]
    _check_raw(root, made)
    return made


def _row(yaml: YAML, document: Any, name: str, study: StudyConfig, variant: str, seed: int) -> Row:
    merge(document, study.settings, null_removes=True)
    held = (document.get(BASE) or {}).get("seed", 0)
    for stage in FIXED:
        if "seed" not in (document.get(stage) or {}):
            merge(document, {stage: {"seed": held}})
    merge(document, {BASE: {"seed": seed}})
    merge(document, study.variants[variant].settings, null_removes=True)
    checked = check_params(document, f"{STUDIES}/{name}.yaml, variant {variant}")
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    params = YAML(typ="safe").load(buffer.getvalue())
    paths = tuple(dict.fromkeys([checked.raw, *checked.ingest.paths()]))
    return Row(name, variant, seed, params, buffer.getvalue(), paths)


def _check_raw(root: Path, made: Sequence[Row]) -> None:
    for path in dict.fromkeys(path for row in made for path in row.raw):
        if not (root / path).exists():
            raise HmerError(
                f"no data at {path}: put them there, or name their place with --set "
                "raw=FOLDER and the paths of the source"
            )


def finished(root: Path, row: Row, any_code: bool = False) -> str | None:
    """Commit of the newest experiment of a row with these parameters; None if there is none.

    Today's code must have made it, unless `any_code` will do.
    """
    listing = git(root, "for-each-ref", "--sort=-committerdate", "--format=%(objectname)",
                  f"refs/exps/*/*/{row.name}")  # fmt: skip
    code = [path for path in CODE if (root / path).exists()]
    for commit in listing.split():
        same = YAML(typ="safe").load(_file(root, commit, PARAMS)) == row.params
        if same and (any_code or not git(root, "diff", "--name-only", commit, "--", *code)):
            return commit
    return None


def _outcome(root: Path, config: StudyConfig, row: Row, failed: Mapping[str, str]) -> Outcome:
    """How a row ended.

    Raises:
        HmerError: its commit has no evaluation, or the evaluation no such set.
    """
    commit = finished(root, row, any_code=True)
    if row.name in failed or commit is None:
        reason = failed.get(row.name, "")
        return Outcome(row, "failed" if reason else "not run", reason=reason)
    values = json.loads(_file(root, commit, EVALUATION) or "{}")
    if config.split not in values:
        there = ", ".join(values) or "none"
        raise HmerError(f"{EVALUATION} has no set {config.split!r}, only {there}")
    numbers = {
        name: float(value)
        for name, value in leaves(values[config.split])
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Outcome(row, "finished", commit, numbers)


def run(root: Path, todo: Sequence[Row], jobs: int, say: Say) -> dict[str, str]:
    """Queue rows and run the queue to its end.

    A signal ends the workers; rows that were under way begin anew next time, but for the stages
    that they had finished.

    Returns:
        Why rows have failed, by name.

    Raises:
        HmerError: the pipeline is running, or DVC cannot queue a row.
    """
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    os.environ["MLFLOW_EXPERIMENT_NAME"] = f"{experiment}-{todo[0].study}"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // jobs)))
    os.environ["HMER_PROGRESS"] = "0"
    names = [row.name for row in todo]
    with hold(root / FLOW_LOCK, "the pipeline or a study"):
        guard()
        _dvc(root, "queue", "remove", *names)  # left by a study that was killed
        # DVC would replace an experiment by `--force` only, which runs every stage again.
        refs = git(root, "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps/*/*/*")
        if older := sorted(set(names) & set(refs.split())):
            _dvc(root, "exp", "remove", *older)
        with _own_params(root):
            for row in todo:
                _queue(root, row)
        say(f"{len(todo)} rows are queued; progress: dvc queue status, dvc queue logs ROW")
        try:
            run_group([*DVC, "exp", "run", "--run-all", "--jobs", str(jobs)], root)
        except BaseException:
            _dvc(root, "queue", "stop", "--kill")
            _dvc(root, "queue", "remove", *names)
            raise
        failed = {row.name: _reason(root, row) for row in todo if finished(root, row) is None}
        _dvc(root, "queue", "remove", *names)
    for name, reason in failed.items():
        say(f"{name} failed: {reason}")
    return failed


def _queue(root: Path, row: Row) -> None:
    (root / PARAMS).write_text(row.text, encoding="utf-8")
    # Data that git does not have are not in the copy that DVC makes; absolute paths need no copy.
    paths = [path for path in row.raw if not Path(path).is_absolute() and (root / path).exists()]
    copied = [part for path in paths for part in ("--copy-paths", path)]
    done = _dvc(root, "exp", "run", "--queue", "--name", row.name, *copied, TARGET)
    if done.returncode:
        raise HmerError(f"dvc cannot queue {row.name}: {' '.join(done.stderr.split())}")


@contextmanager
def _own_params(root: Path) -> Iterator[None]:
    """The project's own parameters are back after the block, or after the next start."""
    saved = root / SAVED
    if not saved.exists():
        with atomic_file(saved) as partial:
            partial.write_bytes((root / PARAMS).read_bytes())
    try:
        yield
    finally:
        with atomic_file(root / PARAMS) as partial:
            partial.write_bytes(saved.read_bytes())
        saved.unlink()


def _reason(root: Path, row: Row) -> str:
    """Why a row failed: the stage's own words where it had any."""
    lines = _dvc(root, "queue", "logs", row.name).stdout.splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    others = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or others or ["no message; see `dvc queue logs`"])[-1].strip()


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DVC, *arguments], cwd=root, capture_output=True, text=True, check=False)


def _file(root: Path, commit: str, path: str) -> str:
    prefix = git(root, "rev-parse", "--show-prefix")
    return git(root, "show", f"{commit}:{prefix}{path}")
