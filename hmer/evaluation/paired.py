"""Two runs on the same expressions, under every condition that both were read under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import RESAMPLES, Interval, paired_difference, paired_ratio
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.robustness.trials import PLAIN, Trial
from hmer.evaluation.section import Section, Table


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """One run minus the other at one level of one series, over `n` expressions of both.

    `rates`: ExpRate of the run and of the other, percent. `exprate`, `cer`: points of ExpRate and
    of CER, each with its paired bootstrap interval; the run is better where `exprate` lies above 0,
    and where `cer` lies below. `loss`: the points of ExpRate that the run loses from level 0 to
    this one, minus what the other loses; below 0, the run is the more robust, whatever its rate
    (None where level 0 was not read by both). `alike` tells whether both have lost the same share
    of every expression: under another `evaluate.seed`, block or scale the pairs are still of the
    same expressions, but no longer of the same pictures.
    """

    series: str
    level: float
    n: int
    rates: tuple[float, float]
    exprate: Interval
    cer: Interval
    loss: Interval | None
    alike: bool


def compare_trials(
    mine: Iterable[Trial], other: Iterable[Trial], seed: int = 0, resamples: int = RESAMPLES
) -> list[PairedDifference]:
    """Pair the trials of two runs by series, level and id; see `hmer.evaluation.robustness.trials`.

    Trials that only one run has are left out.

    Raises:
        HmerError: the runs share no trial, or disagree on a truth.
    """
    ours, theirs = _by_key(mine), _by_key(other)
    both = [key for key in ours if key in theirs]
    if not both:
        raise HmerError("the two runs have read no expression under the same condition")
    conditions: dict[tuple[str, float], list[str]] = defaultdict(list)
    for key in both:
        if list(ours[key].truth) != list(theirs[key].truth):
            raise HmerError(f"{key[2]}: the two runs have different truths; compare one data set")
        conditions[key[0], key[1]].append(key[2])
    return [
        _difference(series, level, ids, (ours, theirs), seed, resamples)
        for (series, level), ids in conditions.items()
    ]


def beside_start(
    after: Sequence[Prediction], before: Sequence[Prediction], seed: int, resamples: int
) -> Section:
    """A recogniser beside the one that its training went on from, on the same expressions.

    Numbers: ExpRate and CER of the earlier one (`exprate`, `cer`, percent), and what the training
    has gained, in points, with the ends of its paired bootstrap interval (`gain`, `gain_low`,
    `gain_high`).

    Raises:
        HmerError: as `compare_trials`.
    """
    trials = [
        [Trial(PLAIN, 0.0, 0.0, found.id, found.truth, found.tokens) for found in run]
        for run in (after, before)
    ]
    (found,) = compare_trials(trials[0], trials[1], seed, resamples)
    characters = max(1, sum(trial.characters for trial in trials[0]))
    cers = [100.0 * sum(t.character_edits for t in run) / characters for run in trials]
    gain = found.exprate
    return Section(
        name="start",
        title="Before this training",
        text="The recogniser that the training went on from (finetune.start), on the same "
        f"{found.n} expressions. ExpRate has changed by {gain.mean:+.1f} points (95 % paired "
        f"bootstrap interval {gain.low:+.1f} to {gain.high:+.1f}), CER by {found.cer.mean:+.1f} "
        f"({found.cer.low:+.1f} to {found.cer.high:+.1f}).",
        numbers={
            "exprate": found.rates[1],
            "cer": cers[1],
            "gain": gain.mean,
            "gain_low": gain.low,
            "gain_high": gain.high,
        },
        tables=[
            Table(
                ("recogniser", "ExpRate", "CER"),
                [
                    (name, rate, cer)
                    for name, rate, cer in zip(("after", "before"), found.rates, cers, strict=True)
                ],
                "Percent, over all expressions; what could not be read counts as wrong.",
            )
        ],
    )


_SAME = 1e-9
_Key = tuple[str, float, str]


def _by_key(trials: Iterable[Trial]) -> dict[_Key, Trial]:
    return {(trial.series, trial.level, trial.id): trial for trial in trials}


def _difference(
    series: str,
    level: float,
    ids: list[str],
    runs: tuple[dict[_Key, Trial], dict[_Key, Trial]],
    seed: int,
    resamples: int,
) -> PairedDifference:
    a, b = ([run[series, level, id] for id in ids] for run in runs)
    right, others = (np.array([t.correct for t in found], dtype=np.bool_) for found in (a, b))
    edits = [x.character_edits - y.character_edits for x, y in zip(a, b, strict=True)]
    length = np.array([trial.characters for trial in a], dtype=np.float64)
    return PairedDifference(
        series=series,
        level=level,
        n=len(ids),
        rates=(100.0 * float(right.mean()), 100.0 * float(others.mean())),
        exprate=paired_difference(right, others, seed, resamples),
        cer=paired_ratio(np.array(edits, dtype=np.float64), length, seed, resamples),
        loss=_loss(series, level, ids, runs, seed, resamples),
        alike=all(abs(x.share - y.share) < _SAME for x, y in zip(a, b, strict=True)),
    )


def _loss(
    series: str,
    level: float,
    ids: list[str],
    runs: tuple[dict[_Key, Trial], dict[_Key, Trial]],
    seed: int,
    resamples: int,
) -> Interval | None:
    """What the first loses from level 0 to `level`, less what the second loses."""
    known = [id for id in ids if all((series, 0.0, id) in run for run in runs)]
    if not known or level == 0.0:
        return None
    lost = [
        np.array(
            [float(run[series, 0.0, id].correct) - run[series, level, id].correct for id in known]
        )
        for run in runs
    ]
    return paired_ratio(lost[0] - lost[1], np.ones(len(known)), seed, resamples)
