"""The encoder of Mask & Match as one module: images to what the decoder looks at.

It computes what the recogniser computes, with its own parts. Only the gathering of the ink cells
is said in another way (`ink_first`), because ONNX has neither a stable sort nor Python's integers.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hmer.errors import HmerError
from hmer.models.base import Recogniser
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.models.mask_match import MaskMatch


def exportable(model: Recogniser) -> MaskMatch:
    """The model, if there are graphs of it.

    Raises:
        HmerError: there are none.
    """
    if not isinstance(model, MaskMatch):
        raise HmerError(
            f"a {type(model).__name__} recogniser cannot be exported, only a mask-match one; "
            "choose one with --model"
        )
    return model


def ink_first(chosen: Tensor) -> Cells:
    """`Cells.where` with a top-k in place of the sort, and without rounding the number up.

    Args:
        chosen: bool (B, h, w), at least two cells.

    Returns:
        The chosen cells in the same order, filled up to the longest sequence of the batch.
    """
    height, width = chosen.shape[1:]
    flat = chosen.flatten(1)
    cells = flat.shape[1]
    # At least two: the tracer takes a length of 1 for a constant.
    longest = cast(int, flat.sum(dim=1).max().clamp(min=2).item())
    torch._check(longest >= 2)  # type: ignore[no-untyped-call]
    torch._check(longest <= cells)  # type: ignore[no-untyped-call]
    # No two keys are equal; those of chosen cells are positive, the first cell's the largest.
    key = torch.arange(cells, 0, -1, device=chosen.device)
    index = torch.where(flat, key, -key).topk(longest, dim=1).indices
    valid = flat.gather(1, index)
    return Cells(index.masked_fill(~valid, 0), valid, (height, width))


class EncoderGraph(nn.Module):
    """`MaskMatch.encode` from tensor to tensors."""

    def __init__(self, model: MaskMatch) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Read images, float (B, 1, H, W), ink 1 on 0, sides multiples of the stride.

        Returns:
            Keys of every layer, then values of every layer, each (B, heads, N, width / heads),
            then the bias (B, 1, 1, N), then the attention map (B, h, w), then the numbers of the
            cells (B, N) in that map; 0 for padding.
        """
        model = self.model
        features = cast(Tensor, model.encoder(images))
        cells = ink_first(ink_cells(images, model.stride))
        attended = model.attention(features, cells, cells.valid)
        content = cast(Tensor, model.adapt(attended.features))
        bias = model.strength * attended.log_map.masked_fill(~cells.valid, 0.0)
        bias = bias.masked_fill(~cells.valid, -torch.inf)
        memory = model.decoder.remember(content, cells.code(content.shape[-1]), bias)
        # Padding has an index of 0 and a share of 0.
        height, width = cells.grid
        blank = bias.new_zeros(bias.shape[0], height * width)
        shown = blank.scatter_add(1, cells.index, attended.log_map.exp())
        spatial = shown.unflatten(1, (height, width))
        return *memory.keys, *memory.values, memory.bias, spatial, cells.index
