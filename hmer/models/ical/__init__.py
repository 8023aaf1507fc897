"""ICAL (Zhu et al., ICDAR 2024): CoMER with a module for what is implicit in handwriting.

Sections 3.3 and 3.4: one causal transformer encoder layer on the decoder's output, whose features
learn where structure tokens stand; a gate mixes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Entry
from hmer.models.common.coverage_decoder import Past
from hmer.models.common.grid import (
    CoMER,
    CoMERConfig,
    blank_weights,
    both_rows,
    stack_rows,
    tag_table,
)
from hmer.models.common.kv_cache import History, causal_attention

ICAL_KEPT = frozenset("{}^_")
"""Tokens that the implicit character module keeps (4)."""


class ImplicitModule(nn.Module):
    """A causal transformer encoder layer (post-norm: Vaswani et al., 2017), whole or stepwise."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.forward_in = nn.Linear(width, feedforward)
        self.forward_out = nn.Linear(feedforward, width)
        self.norm_self, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, explicit: Tensor) -> Tensor:
        """Implicit features (R, T, width) of decoder outputs (R, T, width), causal in T."""
        rate = self.dropout.p if self.training else 0.0
        said = causal_attention(self.project(explicit), self.heads, dropout=rate)
        return self._finish(explicit, said)

    def step(self, explicit: Tensor, past: History | None) -> tuple[Tensor, History]:
        """One token further for K hypotheses of each of B images; `past` is None at the start.

        Takes the decoder's newest output and gives implicit features, both (B, K, width).
        """
        projected = cast(Tensor, self.project(explicit)).unsqueeze(2)
        grown = History.grown(past, 1, projected[..., : explicit.shape[-1]])
        said = causal_attention(projected, self.heads, grown)
        return self._finish(explicit, said.squeeze(2)), grown

    def _finish(self, x: Tensor, said: Tensor) -> Tensor:
        """What follows attention: x and said are (..., width)."""
        x = cast(Tensor, self.norm_self(x + self.dropout(self.merge(said))))
        hidden = self.dropout(functional.relu(self.forward_in(x)))
        return cast(Tensor, self.norm_forward(x + self.dropout(self.forward_out(hidden))))


class Fusion(nn.Module):
    """Explicit and implicit features, mixed channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)

    def forward(self, explicit: Tensor, implicit: Tensor) -> Tensor:
        """g * implicit + (1 - g) * explicit with g = sigmoid(W [explicit; implicit] + b).

        All are (..., width).
        """
        gate = torch.sigmoid(self.gate(torch.cat([explicit, implicit], dim=-1)))
        return gate * implicit + (1 - gate) * explicit


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
        return cast(Tensor, self.head(functional.relu(self.fusion(explicit, implicit))))

    def step(self, tokens: Tensor, encoded: Encoded, past: Past) -> tuple[Tensor, Past]:
        """See `Recogniser.step`; the implicit module's cache is the last one."""
        hidden, grown = self.hidden(tokens.unsqueeze(-1), encoded, past[:-1], cache=True)
        explicit = hidden.squeeze(2)
        implicit, entry = self.implicit.step(explicit, past[-1] if past else None)
        return self.read(explicit, implicit)[..., : self.words], (*grown, entry)


ENTRY = Entry(ICALConfig, ICAL, "comer")
