"""Two evaluations side by side, from the folders that `evaluate` has written."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from hmer.errors import HmerError
from hmer.evaluation.paired import PairedDifference, compare_trials
from hmer.evaluation.robustness.trials import PLAIN, PREDICTIONS, Trial, read_trials

HEADER = ("set", "id", "right", "truth", "old reading", "old edits", "new reading", "new edits")


@dataclass(frozen=True)
class SetComparison:
    """One set that both evaluations have."""

    name: str
    differences: Sequence[PairedDifference]
    """The new one minus the old one, by condition; the first is of whole expressions."""
    changed: Sequence[tuple[Trial, Trial]]
    """Old and new reading of the whole expressions that only one of them has right."""
    alone: int
    """Whole expressions that only one of them has read; they are left out."""

    @property
    def won(self) -> int:
        """Expressions that only the new one has right."""
        return sum(new.correct for _, new in self.changed)

    @property
    def lost(self) -> int:
        """Expressions that only the old one has right."""
        return len(self.changed) - self.won


def compare_evaluations(old: Path, new: Path, seed: int = 0) -> list[SetComparison]:
    """Pair two evaluations by expression and condition, set by set.

    Args:
        old, new: folder of one evaluated set, or of an evaluation with several.
        seed: of the bootstrap.

    Raises:
        HmerError: a folder is no evaluation, or they have no set or no expression in common.
    """
    first, second = _sets(old), _sets(new)
    if [old] == [*first.values()] and [new] == [*second.values()]:  # whatever they are called
        return [_compared(old, new, seed)]
    names = sorted(first.keys() & second.keys())
    if not names:
        raise HmerError(
            f"{old} and {new} have no set in common ({', '.join(sorted(first))}; "
            f"{', '.join(sorted(second))}); name the folders of two sets to compare those"
        )
    return [_compared(first[name], second[name], seed) for name in names]


def write_changed(path: Path, found: Sequence[SetComparison]) -> None:
    """A CSV file with every expression that only one of the two has right."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for one in found:
            for old, new in one.changed:
                readings = (cell for trial in (old, new) for cell in _reading(trial))
                right = "new" if new.correct else "old"
                writer.writerow([one.name, old.id, right, " ".join(old.truth), *readings])


def _reading(trial: Trial) -> tuple[str, int]:
    distance = Levenshtein.distance(list(trial.truth), list(trial.tokens or ()))
    return " ".join(trial.tokens or ()), int(distance)


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


def _compared(old: Path, new: Path, seed: int) -> SetComparison:
    trials = read_trials(old), read_trials(new)
    try:
        differences = compare_trials(trials[1], trials[0], seed)
    except HmerError as error:
        raise HmerError(f"{old} and {new}: {error}") from None
    plain = [{t.id: t for t in run if t.series == PLAIN} for run in trials]
    both = [id for id in plain[0] if id in plain[1]]
    return SetComparison(
        name=new.name,
        differences=differences,
        changed=[
            (plain[0][id], plain[1][id])
            for id in both
            if plain[0][id].correct != plain[1][id].correct
        ],
        alone=len(plain[0].keys() ^ plain[1].keys()),
    )
