"""The implicit character module of ICAL and the fusion of its features with the decoder's.

Zhu et al., ICDAR 2024, sections 3.3 and 3.4: one causal transformer encoder layer on the
decoder's output, whose features learn where structure tokens stand; a gate mixes both.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.decoders.history import History


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
        query, key, value = (
            self._split(x) for x in cast(Tensor, self.project(explicit)).chunk(3, dim=-1)
        )
        said = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout.p if self.training else 0.0
        )
        return self._finish(explicit, said.transpose(1, 2).flatten(2))

    def step(self, explicit: Tensor, past: History | None) -> tuple[Tensor, History]:
        """One token further for K hypotheses of each of B images.

        Args:
            explicit: (B, K, width), the decoder's newest output.
            past: keys and values so far; None at the start.

        Returns:
            Implicit features (B, K, width) and the new `past`.
        """
        projected = cast(Tensor, self.project(explicit)).unsqueeze(2)
        width = explicit.shape[-1]
        grown = History.grown(past, 1, projected[..., :width])
        grown.write(0, projected[..., width:])
        said = grown.attend(0, projected[..., :width], self.heads)
        return self._finish(explicit, said.squeeze(2)), grown

    def _split(self, x: Tensor) -> Tensor:
        """(..., T, width) to (..., heads, T, width / heads)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(-3, -2)

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
