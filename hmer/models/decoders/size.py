"""How large a transformer decoder is."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DecoderSize(BaseModel):
    """Size of the transformer decoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(2, ge=1, le=12)
    width: int = Field(192, ge=16, le=1024, multiple_of=4)
    heads: int = Field(4, ge=1, le=16)
    feedforward: int = Field(512, ge=16, le=4096)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        return self
