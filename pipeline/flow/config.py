"""How the flow behaves around the stages: tries, time limits, messages. Section `flow`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.dvcfile import PARAMS
from pipeline.params import load_section, read_yaml

SECTION = "flow"
WEBHOOK = "HMER_WEBHOOK"
"""Environment variable that wins over `flow.webhook`: such an address is often a secret."""
TRAINING = "optimisation"
"""A stage whose parameters have this key trains something, and needs the machine for itself."""

Minutes = float


class FlowConfig(BaseModel):
    """Parameters of the flow; none of them can change what a stage writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: str | None = Field(
        None, pattern=r"^https?://", description="gets a JSON message by POST when a run ends"
    )
    notify: frozenset[Literal["failure", "success"]] = Field(
        frozenset({"failure"}), description="which ends are told"
    )
    delays: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (10.0, 60.0), max_length=10, description="seconds before the second, the third ... try"
    )
    limit: Minutes = Field(24 * 60.0, gt=0, description="minutes that a stage may take")
    limits: dict[str, Annotated[Minutes, Field(gt=0)]] = Field(
        default_factory=dict, description="the same for single stages, by name"
    )

    def seconds(self, stage: str) -> float:
        """The time limit of a stage."""
        return 60 * self.limits.get(stage, self.limit)


def flow_config(root: Path) -> FlowConfig:
    """The section `flow`, with the webhook of the environment if there is one.

    Raises:
        HmerError: an unknown key, or a value out of range.
    """
    config = load_section(root / PARAMS, SECTION, FlowConfig)
    secret = os.environ.get(WEBHOOK)
    return config.model_copy(update={"webhook": secret}) if secret else config


def is_training(root: Path, stage: str) -> bool:
    """Whether a stage trains."""
    section = read_yaml(root / PARAMS).get(stage)
    return isinstance(section, dict) and TRAINING in section
