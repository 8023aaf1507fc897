"""Compare two evaluations: paired bootstrap by expression, as it is and with ink hidden."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import LEVEL, RESAMPLES, Interval, paired_difference, paired_ratio
from hmer.evaluation.prediction import (
    OCCLUSION,
    PLAIN,
    PREDICTIONS,
    Trial,
    correctness,
    read_trials,
)

HEADER = ("set", "id", "right", "truth", "old reading", "old edits", "new reading", "new edits")

_Condition = tuple[str, float]
"""Series and level."""
_WHOLE: _Condition = (PLAIN, 0.0)
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """New minus old at one level of one series, over the `n` expressions that both have read.

    `rates`: ExpRate of the new and of the old run, percent. `exprate`, `cer`: points of ExpRate and
    of CER, each with its paired bootstrap interval. `alike`: both have lost the same share of every
    expression, so that the pairs are of the same pictures.
    """

    series: str
    level: float
    n: int
    rates: tuple[float, float]
    exprate: Interval
    cer: Interval
    alike: bool


@dataclass(frozen=True)
class Comparison:
    """Two runs on one set, paired by expression and condition."""

    differences: Sequence[PairedDifference]
    """The new one minus the old one, by condition, in the order of the new run."""
    hidden: Interval | None
    """Points of ExpRate gained where ink is hidden, mean over the levels, with its interval:
    expressions are resampled with all their levels. None unless both have read the same
    expressions at the same levels."""
    changed: Sequence[tuple[Trial, Trial]]
    """Old and new reading of the whole expressions that only one of them has right."""
    alone: int
    """Whole expressions that only one of them has read; they are left out."""
    name: str = ""

    @property
    def whole(self) -> PairedDifference | None:
        """The difference on whole expressions."""
        return next((row for row in self.differences if row.series == PLAIN), None)

    @property
    def won(self) -> int:
        """Expressions that only the new one has right."""
        return sum(new.correct for _, new in self.changed)

    @property
    def lost(self) -> int:
        """Expressions that only the old one has right."""
        return len(self.changed) - self.won


def compare(
    old: Iterable[Trial],
    new: Iterable[Trial],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    name: str = "",
) -> Comparison:
    """Pair what two runs have read (`read_trials`) by series, level and id.

    Raises:
        HmerError: the runs share no trial, or disagree on a truth.
    """
    runs = _by_condition(old), _by_condition(new)
    shared = {
        condition: [id for id in found if id in runs[0].get(condition, {})]
        for condition, found in runs[1].items()
    }
    if not any(shared.values()):
        raise HmerError("the two runs have read no expression under the same condition")
    for condition, ids in shared.items():
        for id in ids:
            if list(runs[0][condition][id].truth) != list(runs[1][condition][id].truth):
                raise HmerError(f"{id}: the two runs have different truths; compare one data set")
    (before, after), draw = (run.get(_WHOLE, {}) for run in runs), (seed, resamples, level)
    pairs = [(before[id], after[id]) for id in before if id in after]
    return Comparison(
        [_difference(condition, ids, runs, draw) for condition, ids in shared.items() if ids],
        _hidden(runs, draw),
        [pair for pair in pairs if pair[0].correct != pair[1].correct],
        alone=len(before.keys() ^ after.keys()),
        name=name,
    )


def compare_evaluations(old: Path, new: Path) -> list[Comparison]:
    """Compare two evaluations, or two sets of them, by folder.

    Raises:
        HmerError: a folder is no evaluation, or they have no set or no expression in common.
    """
    first, second = _sets(old), _sets(new)
    if [old] == [*first.values()] and [new] == [*second.values()]:  # whatever they are called
        pairs = {new.name: (old, new)}
    else:
        names = sorted(first.keys() & second.keys())
        pairs = {name: (first[name], second[name]) for name in names}
    if not pairs:
        raise HmerError(
            f"{old} and {new} have no set in common ({', '.join(sorted(first))}; "
            f"{', '.join(sorted(second))}); name the folders of two sets to compare those"
        )
    found = []
    for name, (before, after) in pairs.items():
        trials = read_trials(before), read_trials(after)
        try:
            found.append(compare(*trials, name=name))
        except HmerError as error:
            raise HmerError(f"{before} and {after}: {error}") from None
    return found


def write_changed(path: Path, found: Sequence[Comparison]) -> None:
    """A CSV file with every expression that only one of the two has right."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for one in found:
            for old, new in one.changed:
                cells = [c for t in (old, new) for c in (" ".join(t.tokens or ()), t.distance)]
                right = "new" if new.correct else "old"
                writer.writerow([one.name, old.id, right, " ".join(old.truth), *cells])


def _sets(folder: Path) -> dict[str, Path]:
    """Folders of evaluated sets by name."""
    if (folder / PREDICTIONS).is_file():
        return {folder.name: folder}
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{PREDICTIONS}"))}
    if not found:
        what = "no evaluation there" if folder.is_dir() else "no such folder"
        raise HmerError(
            f"{folder}: {what}; name a folder that the stage evaluate has written "
            "(reports/evaluation, or one set in it)"
        )
    return found


_Run = Mapping[_Condition, Mapping[str, Trial]]
_Draw = tuple[int, int, float]  # seed, resamples and level of the bootstrap


def _by_condition(trials: Iterable[Trial]) -> _Run:
    found: dict[_Condition, dict[str, Trial]] = defaultdict(dict)
    for trial in trials:
        found[trial.series, trial.level][trial.id] = trial
    return found


def _difference(
    condition: _Condition, ids: Sequence[str], runs: tuple[_Run, _Run], draw: _Draw
) -> PairedDifference:
    old, new = ([run[condition][id] for id in ids] for run in runs)
    right, before = correctness(new), correctness(old)
    edits = [b.character_edits - a.character_edits for a, b in zip(old, new, strict=True)]
    length = np.array([trial.characters for trial in new], dtype=np.float64)
    return PairedDifference(
        *condition,
        n=len(ids),
        rates=(100.0 * float(right.mean()), 100.0 * float(before.mean())),
        exprate=paired_difference(right, before, *draw),
        cer=paired_ratio(np.array(edits, dtype=np.float64), length, *draw),
        alike=all(abs(a.share - b.share) < _SAME for a, b in zip(old, new, strict=True)),
    )


def _hidden(runs: tuple[_Run, _Run], draw: _Draw) -> Interval | None:
    """See `Comparison.hidden`."""
    old, new = (
        {
            (id, level): trial.correct
            for (series, level), found in run.items()
            if series == OCCLUSION and level > 0.0
            for id, trial in found.items()
        }
        for run in runs
    )
    if not new or old.keys() != new.keys():
        return None
    gains: dict[str, list[int]] = defaultdict(list)
    for id, level in sorted(new):
        gains[id].append(int(new[id, level]) - int(old[id, level]))
    means = np.array([sum(gain) / len(gain) for gain in gains.values()], dtype=np.float64)
    return paired_ratio(means, np.ones_like(means), *draw)
