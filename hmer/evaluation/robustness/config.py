"""What is taken away from expressions to see what is still read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hmer.decoding.bidirectional import DecodingConfig


class OcclusionConfig(BaseModel):
    """Levels of hidden ink, of missing strokes and of missing symbols."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(60, ge=0, description="expressions per set, spread evenly; 0: none")
    levels: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5), description="shares of the ink to hide, in whole percent"
    )
    block: float = Field(0.6, gt=0, le=8, description="side of a block in symbol units")
    missing_limit: int = Field(
        25, ge=0, description="expressions per set with strokes or symbols missing; at most `limit`"
    )
    strokes: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5), description="shares of the strokes to leave out; none: skipped"
    )
    symbols: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field(
        (1, 2, 3), description="numbers of symbols to leave out; none: skipped"
    )
    decoding: DecodingConfig = DecodingConfig(beam=1, both_directions=False, max_length=100)

    @field_validator("levels", "strokes", "symbols")
    @classmethod
    def _grow(cls, levels: Sequence[float]) -> Sequence[float]:
        whole = [round(100 * level) for level in levels]
        if any(low >= high for low, high in pairwise(whole)):
            raise ValueError("must grow, by a percent at least")
        return levels
