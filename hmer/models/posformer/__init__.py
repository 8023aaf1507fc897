"""PosFormer (Guan et al., ECCV 2024): CoMER that also learns places in a position forest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import Field
from torch import Tensor

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Entry
from hmer.models.common.comer import CoMER, CoMERConfig
from hmer.models.common.coverage_decoder import GridMemory
from hmer.models.common.grid import both_rows, stack_rows
from hmer.models.posformer.position_forest import PositionDecoder, position_targets, seen_tokens


class PosFormerConfig(CoMERConfig):
    """Parts and loss weights of PosFormer; the defaults are the published ones.

    9.632 million weights in training, 6.389 million when reading.
    """

    position_weight: float = Field(
        0.25, ge=0, le=10, description="of either position loss, relative to the word loss"
    )


class PosFormer(CoMER):
    """CoMER with implicit attention correction, and a position decoder that only training needs."""

    config: PosFormerConfig
    training_only = ("position",)

    def __init__(self, config: PosFormerConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.vocabulary = vocabulary
        self.position = PositionDecoder(config.decoder, config.arm)
        # No buffer: an average over time of the weights would average it, too.
        self.seen = seen_tokens(vocabulary)

    def contributes(self, tokens: Tensor) -> Tensor:
        """See `GridRecogniser.contributes`: all but `^`, `_` and `{`."""
        return self.seen.to(tokens.device)[tokens]

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word`, `level` and `relative`, over both directions.

        Weighted 1, w and w, w being `position_weight`, and divided by the sum of the weights.
        """
        encoded = self.encode(batch.images)
        valid = cast(GridMemory, encoded.memory).valid
        inputs = both_rows(batch.inputs)
        hidden, _ = self.hidden(inputs, encoded)
        logits = stack_rows(self.head(hidden))
        level, relative = self.position.losses(
            position_targets(batch.targets, self.vocabulary),
            cast(Tensor, self.adapt(encoded.features, valid)),
            valid,
            self.contributes(inputs),
        )
        weight = self.config.position_weight
        parts = {
            "word": self.surprise(logits, batch.targets),
            "level": weight * level,
            "relative": weight * relative,
        }
        return {name: loss / (1 + 2 * weight) for name, loss in parts.items()}, logits


ENTRY = Entry(PosFormerConfig, PosFormer, "comer")
