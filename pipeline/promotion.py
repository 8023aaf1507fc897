"""Who becomes champion: the decision alone, without a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Decision = Literal["champion", "challenger"]


class RegisterConfig(BaseModel):
    """Parameters of the stage `register`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="hmer", min_length=1, pattern=r"^[^/:]+$", description="in the registry"
    )
    split: str = Field(default="auto", description="the test set that decides; auto: the only one")
    margin: float = Field(
        default=0.0, ge=0, le=100, description="points of ExpRate a challenger must be better by"
    )
    across_data: bool = Field(
        default=False,
        description="promote also where champion and challenger saw different test data",
    )


@dataclass(frozen=True)
class Score:
    """What the decision rests on: an ExpRate (percent) and the digest of the data behind it."""

    exprate: float
    data: str


def decide(
    candidate: Score, champion: Score | None, config: RegisterConfig
) -> tuple[Decision, str]:
    """The decision and its reason, in words."""
    if champion is None:
        return "champion", "there was no champion"
    if candidate.data != champion.data:
        if config.across_data:
            return "champion", (
                "the champion was scored on other data, and register.across_data is set"
            )
        return "challenger", (
            "not comparable: the champion was scored on other data (register.across_data "
            "promotes all the same)"
        )
    gain = candidate.exprate - champion.exprate
    numbers = f"ExpRate {candidate.exprate:.2f} % against {champion.exprate:.2f} % on the same data"
    if gain > config.margin:
        return "champion", f"better: {numbers}"
    if gain > 0:
        return (
            "challenger",
            f"better, but by no more than the margin {config.margin:.2f}: {numbers}",
        )
    return "challenger", f"not better: {numbers}"
