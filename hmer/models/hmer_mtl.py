"""HMER-MTL (2025): CoMER with CBAM inside the ARM and a second head for implicit tags."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn

from hmer.latex.labels import MTL_KEPT
from hmer.latex.vocabulary import Vocabulary
from hmer.models.comer import CoMER, CoMERConfig
from hmer.models.decoders.cbam import Cbam
from hmer.models.decoders.implicit_labels import tag_table
from hmer.models.grid import both_rows, stack_rows
from hmer.models.interface import Batch


class HmerMtlConfig(CoMERConfig):
    """Parts and loss weights of HMER-MTL; the defaults are the published ones (6.420 million)."""

    word_weight: float = Field(1.0, ge=0, le=10)
    implicit_weight: float = Field(1.0, ge=0, le=10)


class HmerMtl(CoMER):
    """Learns, beside each token, which piece of structure it is, if any (17 kept tokens)."""

    config: HmerMtlConfig
    training_only = ("implicit_head",)

    def __init__(self, config: HmerMtlConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary, gate=Cbam(config.arm.channels), further=1)
        self.implicit_head = nn.Linear(config.decoder.width, self.classes)
        # No buffer: an average over time of the weights would average it, too.
        self.tags = tag_table(vocabulary, MTL_KEPT)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word` and `implicit`, weighted, over both directions."""
        hidden, _ = self.hidden(both_rows(batch.inputs), self.encode(batch.images))
        hidden = stack_rows(hidden)
        logits = self.head(hidden)
        tags = self.tags.to(batch.targets.device)[batch.targets]
        implicit = self.surprise(self.implicit_head(hidden), tags)
        losses = {
            "word": self.config.word_weight * self.surprise(logits, batch.targets),
            "implicit": self.config.implicit_weight * implicit,
        }
        return losses, logits[..., : self.words]
