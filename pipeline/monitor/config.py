"""When recent input counts as different from what the model was trained on. Section `monitor`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MonitorConfig(BaseModel):
    """Parameters of `python -m pipeline monitor`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int = Field(30, ge=5, description="files, at least, without which there is no verdict")
    most: int = Field(500, ge=5, description="files looked at, the newest")
    reference: int = Field(300, ge=30, description="expressions of the data set to compare with")
    stability: float = Field(
        0.25, gt=0, le=10, description="population stability index that counts as drift"
    )
    divergence: float = Field(
        0.1, gt=0, le=1, description="Jensen-Shannon divergence of tokens, in bits, that does"
    )
    unreadable: float = Field(
        0.1, ge=0, le=1, description="share of files that cannot be read, that does"
    )
    chance: float = Field(
        0.01, gt=0, lt=0.5, description="how often samples of no drift may look as different"
    )
    beam: int = Field(3, ge=1, le=50, description="of the champion's readings")
    seed: int = Field(0, ge=0)
