"""Champion against challenger: what was read right by each, and who becomes champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    across_data: bool = Field(
        default=False,
        description="promote also where champion and challenger cannot be compared",
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
        if config.across_data:
            return "champion", f"not comparable ({obstacle}), and register.across_data is set"
        return (
            "challenger",
            f"not comparable: {obstacle} (promote by hand, or register.across_data)",
        )
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


@dataclass(frozen=True)
class Evidence:
    """What one recogniser read on one set: whole expressions, and with ink hidden."""

    trials: Sequence[Trial]

    @property
    def correct(self) -> dict[str, bool]:
        """Whether each whole expression was read right."""
        return {trial.id: trial.correct for trial in self.trials if trial.series == PLAIN}

    @property
    def hidden(self) -> dict[tuple[float, str], bool]:
        """The same with ink hidden, by level (above 0) and expression."""
        return {
            (trial.level, trial.id): trial.correct
            for trial in self.trials
            if trial.series == OCCLUSION and trial.level > 0
        }

    @property
    def occluded(self) -> list[list[float]]:
        """Pairs of a level of hidden ink and the ExpRate there, percent."""
        rates: dict[float, list[bool]] = {}
        for (level, _), correct in self.hidden.items():
            rates.setdefault(level, []).append(correct)
        return [
            [level, round(100.0 * sum(right) / len(right), 4)]
            for level, right in sorted(rates.items())
        ]


def compare(challenger: Evidence, champion: Evidence, config: RegisterConfig) -> Comparison:
    """Pair them by expression, as `hmer compare` does.

    Raises:
        HmerError: they were not scored on the same expressions, or with other truths.
    """
    if challenger.correct.keys() != champion.correct.keys() or not challenger.correct:
        raise HmerError("the predictions of champion and challenger are of other expressions")
    old, new = (_judged(evidence.trials) for evidence in (champion, challenger))
    return compare_trials(old, new, config.seed, config.resamples, config.level)


def _judged(trials: Sequence[Trial]) -> list[Trial]:
    """What the decision is about: whole expressions and hidden ink, in one order."""
    chosen = [trial for trial in trials if trial.series in (PLAIN, OCCLUSION)]
    return sorted(chosen, key=lambda trial: (trial.series, trial.level, trial.id))
