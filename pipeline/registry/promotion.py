"""Who becomes champion: the decision alone, without a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hmer.evaluation.bootstrap import Interval

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


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion on the same expressions.

    `gain` is challenger minus champion in points of ExpRate, with its paired bootstrap interval;
    `occluded_gain` the same as a mean over the levels of hidden ink (None where the two were not
    measured alike), and `occluded` that with its interval (None where the single readings of one of
    them were not kept). `only_challenger` and `only_champion` count the
    expressions that one alone reads right, of `n`.
    """

    gain: Interval
    n: int
    only_challenger: int
    only_champion: int
    occluded_gain: float | None
    occluded: Interval | None = None

    def worse_occluded(self, limit: float) -> bool:
        """Whether the challenger loses more than `limit` points where ink is hidden."""
        return self.occluded_gain is not None and self.occluded_gain < -limit


def decide(
    comparison: Comparison | None,
    config: RegisterConfig,
    *,
    obstacle: str = "",
    taken_down: str = "",
) -> tuple[Decision, str]:
    """The decision and its reason, in words.

    Args:
        comparison: None where there is no champion, or none to compare with.
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
    gain, hidden = comparison.gain, comparison.occluded
    told = (
        f"{gain.mean:+.2f} points of ExpRate, {config.level:.0%} interval {gain.low:+.2f} to "
        f"{gain.high:+.2f}"
    )
    if gain.mean < -config.worse:
        return "refused", f"worse by more than {config.worse:g} (register.worse): {told}"
    frail = comparison.worse_occluded(config.worse_occluded)
    if frail and (hidden is None or hidden.high < 0):
        return "refused", (
            f"worse where ink is hidden, {_told_hidden(comparison)}, by more than "
            f"{config.worse_occluded:g} (register.worse_occluded); unhidden {told}"
        )
    if frail:
        return "challenger", (
            f"perhaps worse where ink is hidden, {_told_hidden(comparison)}; unhidden {told}"
        )
    if gain.low > config.margin:
        above = f"the margin {config.margin:g}" if config.margin else "noise"
        return "champion", f"better beyond {above}: {told}"
    if gain.mean > 0:
        return "challenger", f"better, but not beyond doubt: {told}"
    return "challenger", f"not better: {told}"


def _told_hidden(comparison: Comparison) -> str:
    text = f"{comparison.occluded_gain:+.2f} points"
    if comparison.occluded is None:
        return text
    return f"{text} ({comparison.occluded.low:+.2f} to {comparison.occluded.high:+.2f})"
