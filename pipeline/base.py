"""Facts that several stages share: they are given once, in the section `base` of `params.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from hmer.ink.render import RenderConfig


class BaseConfig(BaseModel):
    """A stage's own section inherits those keys of it that its configuration has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of everything that is drawn at random"
    )
    render: RenderConfig = Field(default_factory=RenderConfig)
