"""One scored expression: what was written, what was read, and what the reader looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from hmer.evaluation.images import Image


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The reading of one expression beside its truth.

    `tokens` is None where the expression could not be read: it counts as wrong, and as all of the
    truth deleted. `confidence` is the probability of the whole sequence, in [0, 1].
    `attention` holds one map per output token, shape (T, h, w), with or without one more for the
    end token; `spatial_attention` is the one map (h, w) of the Mask & Match attention network.
    Both are non-negative, on the feature grid, `stride` pixels to a cell (None: the grid is
    stretched over the whole picture).
    """

    id: str
    truth: Sequence[str]
    tokens: Sequence[str] | None
    confidence: float
    image: bytes | Image | None = None
    attention: NDArray[np.floating] | None = None
    spatial_attention: NDArray[np.floating] | None = None
    stride: float | None = None

    def __post_init__(self) -> None:
        if not self.truth:
            raise ValueError(f"{self.id}: the truth is empty")
        if isinstance(self.truth, str) or isinstance(self.tokens, str):
            raise ValueError(f"{self.id}: expected a list of tokens, not a string")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"{self.id}: confidence {self.confidence} is outside [0, 1]")
        steps = len(self.tokens or ())
        if self.attention is not None and (
            self.attention.ndim != 3 or len(self.attention) not in (steps, steps + 1)
        ):
            raise ValueError(f"{self.id}: {steps} tokens, but attention {self.attention.shape}")
        if self.spatial_attention is not None and self.spatial_attention.ndim != 2:
            raise ValueError(f"{self.id}: spatial attention {self.spatial_attention.shape}")

    @property
    def correct(self) -> bool:
        """Whether the reading equals the truth token for token."""
        return self.tokens is not None and list(self.tokens) == list(self.truth)

    @property
    def distance(self) -> int:
        """Token edit distance to the truth; all of the truth where nothing was read."""
        return Levenshtein.distance(self.truth, self.tokens or ())

    def within(self, edits: int) -> bool:
        """Whether it was read with at most `edits` token edits."""
        return self.tokens is not None and self.distance <= edits


def correctness(predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
    """Which predictions are right, shape (n,)."""
    return np.array([prediction.correct for prediction in predictions], dtype=np.bool_)


def confidences(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """The confidence of every prediction, shape (n,)."""
    return np.array([prediction.confidence for prediction in predictions], dtype=np.float64)
