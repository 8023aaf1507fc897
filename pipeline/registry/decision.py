"""Champion against challenger: what was read right by each, and who becomes champion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from hmer.evaluation.comparison import Comparison
from hmer.evaluation.comparison import compare as compare_trials
from hmer.evaluation.prediction import OCCLUSION, PLAIN, PREDICTIONS, TRIALS, Trial

Decision = Literal["champion", "challenger", "refused"]


class RegisterConfig(BaseModel):
    """Parameters of the stage `register`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="hmer", min_length=1, pattern=r"^[^/:]+$", description="in the registry"
    )
    split: str = Field(
        default="auto",
        description="the split that decides; auto: the development set, else validation, else a "
        "test set",
    )
    level: float = Field(
        default=0.95, gt=0.5, lt=1, description="confidence of the paired bootstrap interval"
    )
    resamples: int = Field(default=10_000, ge=1000, le=1_000_000, description="of the bootstrap")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the bootstrap")
    margin: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="points of ExpRate that the whole interval of the gain must lie above",
    )
    worse: float = Field(
        default=1.0, ge=0, le=100, description="refuse a loss of more points of ExpRate than this"
    )
    worse_occluded: float = Field(
        default=5.0,
        ge=0,
        le=100,
        description="refuse a loss of more points of ExpRate than this where ink is hidden, if the "
        "whole interval lies below zero; if not, do not promote",
    )
    rescore: bool = Field(
        default=True,
        description="where the champion was scored on other data, score it anew on this",
    )


def decide(
    comparison: Comparison | None,
    config: RegisterConfig,
    *,
    obstacle: str = "",
    taken_down: str = "",
) -> tuple[Decision, str]:
    """The decision and its reason, in words.

    Args:
        comparison: challenger against champion; None where there is none to compare with.
        config: thresholds.
        obstacle: why the champion there is cannot be compared with; "" if there is none.
        taken_down: who took these weights down, and why; "" if nobody did. Only a person makes
            them champion again.
    """
    decision, reason = _compared(comparison, config, obstacle)
    if decision == "champion" and taken_down:
        return "challenger", f"taken down {taken_down}; promote by hand to bring it back ({reason})"
    return decision, reason


def _compared(
    comparison: Comparison | None, config: RegisterConfig, obstacle: str
) -> tuple[Decision, str]:
    if comparison is None:
        if not obstacle:
            return "champion", "there was no champion"
        return "challenger", f"not comparable: {obstacle} (`python -m pipeline promote` decides)"
    assert comparison.whole is not None  # `compare` has seen to it
    gain, hidden = comparison.whole.exprate, comparison.hidden
    told = (
        f"{gain.mean:+.2f} points of ExpRate, {config.level:.0%} interval {gain.low:+.2f} to "
        f"{gain.high:+.2f}"
    )
    if gain.mean < -config.worse:
        return "refused", f"worse by more than {config.worse:g} (register.worse): {told}"
    if hidden is not None and hidden.mean < -config.worse_occluded:
        lost = f"{hidden.mean:+.2f} points ({hidden.low:+.2f} to {hidden.high:+.2f})"
        if hidden.high < 0:
            return "refused", (
                f"worse where ink is hidden, {lost}, by more than {config.worse_occluded:g} "
                f"(register.worse_occluded); unhidden {told}"
            )
        return "challenger", f"perhaps worse where ink is hidden, {lost}; unhidden {told}"
    if gain.low > config.margin:
        above = f"the margin {config.margin:g}" if config.margin else "noise"
        return "champion", f"better beyond {above}: {told}"
    if gain.mean > 0:
        return "challenger", f"better, but not beyond doubt: {told}"
    return "challenger", f"not better: {told}"


EVIDENCE = (PREDICTIONS, TRIALS)
"""Files of an evaluation that a later challenger is compared with; the second is missing where no
ink was hidden."""


def conditions(trials: Sequence[Trial], series: str) -> set[tuple[float, str]]:
    """Levels and expressions that were read of a series."""
    return {(trial.level, trial.id) for trial in trials if trial.series == series}


def exprates(trials: Sequence[Trial], series: str) -> list[list[float]]:
    """Pairs of a level of a series and the ExpRate there, percent."""
    right: dict[float, list[bool]] = defaultdict(list)
    for trial in trials:
        if trial.series == series:
            right[trial.level].append(trial.correct)
    return [[level, round(100.0 * fmean(found), 4)] for level, found in sorted(right.items())]


def compare(
    challenger: Sequence[Trial], champion: Sequence[Trial], config: RegisterConfig
) -> Comparison:
    """Pair what they have read, whole and with ink hidden, as `hmer compare` does.

    Raises:
        HmerError: they were not scored on the same expressions, or with other truths.
    """
    old, new = (
        sorted(
            (trial for trial in trials if trial.series in (PLAIN, OCCLUSION)),
            key=lambda trial: (trial.series, trial.level, trial.id),
        )
        for trials in (champion, challenger)
    )
    if conditions(new, PLAIN) != conditions(old, PLAIN) or not conditions(new, PLAIN):
        raise HmerError("the predictions of champion and challenger are of other expressions")
    return compare_trials(old, new, config.seed, config.resamples, config.level)
