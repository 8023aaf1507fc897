"""ICAL (Zhu et al., ICDAR 2024): CoMER with a module for what is implicit in handwriting."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.latex.labels import ICAL_KEPT
from hmer.latex.vocabulary import Vocabulary
from hmer.models.comer import CoMER, CoMERConfig
from hmer.models.decoders.implicit import Fusion, ImplicitModule
from hmer.models.decoders.implicit_labels import blank_weights, tag_table
from hmer.models.decoders.refined import Past
from hmer.models.grid import both_rows, stack_rows
from hmer.models.interface import Batch, Encoded


class ICALConfig(CoMERConfig):
    """Parts and loss weights of ICAL; the defaults are the published ones (7.369 million)."""

    word_weight: float = Field(1.0, ge=0, le=10, description="of the fusion head, which reads")
    explicit_weight: float = Field(1.0, ge=0, le=10)
    implicit_weight: float = Field(1.0, ge=0, le=10)
    dynamic_weight: bool = Field(True, description="weigh structure up against the many blanks")


class ICAL(CoMER):
    """Learns from the decoder's output where structure tokens stand, and reads from both.

    The implicit module has the size of a decoder layer. Words are read from the fusion head.
    """

    config: ICALConfig
    training_only = ("explicit_head", "implicit_head")

    def __init__(self, config: ICALConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary, further=1)
        size = config.decoder
        self.implicit = ImplicitModule(size.width, size.heads, size.feedforward, size.dropout)
        self.fusion = Fusion(size.width)
        self.explicit_head = nn.Linear(size.width, self.classes)
        self.implicit_head = nn.Linear(size.width, self.classes)
        # No buffer: an average over time of the weights would average it, too.
        self.tags = tag_table(vocabulary, ICAL_KEPT)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word` (fusion), `explicit`, `implicit`, both directions."""
        hidden, _ = self.hidden(both_rows(batch.inputs), self.encode(batch.images))
        explicit = stack_rows(hidden)
        implicit = self.implicit(explicit)
        logits = self.read(explicit, implicit)
        tags = self.tags.to(batch.targets.device)[batch.targets]
        weights = blank_weights(tags, self.classes) if self.config.dynamic_weight else None
        seen = self.implicit_head(functional.relu(implicit))
        losses = {
            "word": self.config.word_weight * self.surprise(logits, batch.targets),
            "explicit": self.config.explicit_weight
            * self.surprise(self.explicit_head(explicit), batch.targets),
            "implicit": self.config.implicit_weight * self.surprise(seen, tags, weights),
        }
        return losses, logits[..., : self.words]

    def read(self, explicit: Tensor, implicit: Tensor) -> Tensor:
        """Logits (..., classes) of the fusion head, from features (..., width)."""
        fused: Tensor = self.head(functional.relu(self.fusion(explicit, implicit)))
        return fused

    def step(self, tokens: Tensor, encoded: Encoded, past: Past) -> tuple[Tensor, Past]:
        """See `Recogniser.step`; the implicit module's cache is the last one."""
        hidden, grown = self.hidden(tokens.unsqueeze(-1), encoded, past[:-1], cache=True)
        explicit = hidden.squeeze(2)
        implicit, entry = self.implicit.step(explicit, past[-1] if past else None)
        return self.read(explicit, implicit)[..., : self.words], (*grown, entry)
