"""Key-value cache of a beam search: each written token is kept once, however many share it.

Caches that belong to one hypothesis each must be copied whenever the search goes on with others.
Here every token that was ever written keeps its one place, and a hypothesis is a row of a mask: it
sees its own past only. Choosing other hypotheses chooses rows of the mask, and attention is one
product for all hypotheses of an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from hmer.models.common.layers import split_heads

_STEPS = 16
"""Steps for which a new room is large enough, at least."""


def causal_attention(
    projected: Tensor,
    heads: int,
    history: History | None = None,
    layer: int = 0,
    dropout: float = 0.0,
) -> Tensor:
    """Self-attention of tokens (..., T, width), of the newest (B, K, 1, width) with `history`.

    Args:
        projected: their queries, keys and values side by side: (..., T, 3 width).
        heads: of the attention.
        history: it has room for the tokens, in `layer`; None: they are all there is.
        layer: of the history.
        dropout: rate; without `history` only.
    """
    width = projected.shape[-1] // 3
    if history is not None:
        history.write(layer, projected[..., width:])
        return history.attend(layer, projected[..., :width], heads)
    # Fused attention takes four sides: the rows of an image are rows of the batch here.
    parts = projected.flatten(0, -3).chunk(3, dim=-1)
    query, key, value = (split_heads(part, heads) for part in parts)
    said = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, dropout_p=dropout
    )
    return said.transpose(-3, -2).flatten(-2).view(*projected.shape[:-1], width)


@dataclass(slots=True)
class _Room:
    """Where keys and values are written; shared by the histories that grew from one another."""

    stores: list[Tensor]
    """For each layer (2, B, capacity, width)."""
    filled: int
    """Places that are taken. A history that ends before them must not write here."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The past of K hypotheses of each of B inputs, in all layers; a cache for `hmer.decoding`."""

    room: _Room
    used: int
    """Places of the room that belong to this history."""
    bias: Tensor
    """(B, 1, K, used): 0 where the newest token of a hypothesis sees, elsewhere -inf."""
    rows: int
    """K"""
    length: int
    """Tokens of a hypothesis."""

    @classmethod
    def grown(cls, past: History | None, layers: int, like: Tensor) -> History:
        """A history with room for one more token (B, K, 1, width), which all layers are to `write`.

        It sees what was before, and itself. `past` (None at the start) stays valid.
        """
        batch, rows, _, width = like.shape
        own = torch.full((rows, rows), -torch.inf, device=like.device).fill_diagonal_(0.0)
        own = own.expand(batch, 1, -1, -1)
        if past is None:
            shape = (2, batch, _STEPS * rows, width)
            room = _Room([like.new_empty(shape) for _ in range(layers)], rows)
            return cls(room, rows, own, rows, 1)
        past = past if past._open() else past._moved()
        end = past.room.filled = past.used + rows
        return cls(past.room, end, torch.cat([past.bias, own], dim=3), rows, past.length + 1)

    def write(self, layer: int, pairs: Tensor) -> None:
        """Keep keys and values (B, K, 1, 2 width) of the newest tokens."""
        batch, rows, _, width = pairs.shape
        new = pairs.reshape(batch, rows, 2, width // 2).permute(2, 0, 1, 3)
        self.room.stores[layer][:, :, self.used - rows : self.used] = new

    def attend(self, layer: int, query: Tensor, heads: int) -> Tensor:
        """What the newest tokens see: (B, K, 1, width) for queries (B, K, 1, width)."""
        store = self.room.stores[layer][:, :, : self.used]
        keys, values = store.view(*store.shape[:3], heads, -1).transpose(2, 3)
        asked = query.reshape(len(query), -1, heads, query.shape[-1] // heads).transpose(1, 2)
        bias = self.bias.to(asked.dtype)
        said = functional.scaled_dot_product_attention(asked, keys, values, attn_mask=bias)
        return said.transpose(1, 2).reshape(query.shape)

    def reorder(self, inputs: Tensor, origin: Tensor) -> Self:
        """Other hypotheses, and fewer inputs; see `hmer.models.step.reorder`."""
        room, everyone = self.room, torch.arange(len(self.bias), device=inputs.device)
        if not torch.equal(inputs, everyone):
            stores = [s[:, :, : self.used].index_select(1, inputs) for s in room.stores]
            room = _Room(stores, self.used)
        flat = (inputs.unsqueeze(1) * self.rows + origin).flatten()
        bias = self.bias.flatten(0, 2).index_select(0, flat)
        bias = bias.view(len(origin), 1, -1, self.used)
        return type(self)(room, self.used, bias, origin.shape[1], self.length)

    @property
    def shape(self) -> tuple[int, ...]:
        """As if each hypothesis had its own of each layer: (B, K, 2, t, width)."""
        return len(self.bias), self.rows, 2, self.length, self.room.stores[0].shape[-1]

    @property
    def nbytes(self) -> int:
        """Of the room and of what hides others' tokens."""
        return sum(store.nbytes for store in self.room.stores) + self.bias.nbytes

    def _open(self) -> bool:
        """Whether places for one more token may be taken behind what is there."""
        capacity = self.room.stores[0].shape[2]
        return self.room.filled == self.used and self.used + self.rows <= capacity

    def _moved(self) -> History:
        """The same in a new room for more, without what no living hypothesis sees."""
        live = self.bias.amax(dim=(1, 2)) == 0
        most = int(live.sum(dim=1).max())
        # A stable sort brings what is seen to the front and keeps its order.
        kept = (~live).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
        first = self.room.stores[0]
        places = kept[None, :, :, None].expand(2, -1, -1, first.shape[-1])
        space = first.new_empty(2, len(kept), max(most, _STEPS * self.rows), first.shape[-1])
        stores = [torch.cat([s.gather(2, places), space], dim=2) for s in self.room.stores]
        bias = self.bias.gather(3, kept[:, None, None].expand(-1, -1, self.rows, -1))
        return History(_Room(stores, most), most, bias, self.rows, self.length)
