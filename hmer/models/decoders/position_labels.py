"""Tensors of PosFormer's position-forest labels, from token numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from hmer.errors import LatexError
from hmer.latex.labels import Position, positions
from hmer.latex.vocabulary import Vocabulary

DEPTH = 5
"""Numbers of an identifier that the position decoder is told; deeper ones are cut off."""

IGNORED = -100
"""Label of places that no loss counts."""

_SOS, _EOS = (Position((code,), 0, code) for code in (Vocabulary.sos, Vocabulary.eos))
"""Start and stop, whose branch codes 1 and 2 happen to be their token numbers."""

_CACHED = 65_536


class PositionTargets(NamedTuple):
    """What the position decoder reads and what it should answer; R rows of T places."""

    identifiers: Tensor
    """float (R, T, DEPTH): branch codes of the input tokens, outermost first, then 0."""
    levels: Tensor
    """int64 (R, T): nested level of the target tokens, or `IGNORED`."""
    relatives: Tensor
    """int64 (R, T): relative position of the target tokens, or `IGNORED`."""


def position_targets(targets: Tensor, words: Vocabulary) -> PositionTargets:
    """The labels of a batch.

    The stop has level 0 and its own code as relative position. (The published code gives it
    padding's code, except in the longest caption of a batch, where it gives that of the start.)
    A caption that cannot be parsed has no labels.

    Args:
        targets: int64 (2B, T) as in `hmer.models.interface.Batch`: captions with the stop token,
            padded; rows B to 2B - 1 are the same captions from right to left.
        words: what the numbers mean.
    """
    rows, length = targets.shape
    identifiers = torch.zeros(rows, length, DEPTH)
    levels = torch.full((rows, length), IGNORED)
    relatives = torch.full((rows, length), IGNORED)
    forward = targets[: rows // 2].tolist()
    for row, numbers in enumerate(forward):
        found = _positions(tuple(words.decode(numbers)))
        if found is None:
            continue
        _fill(identifiers, levels, relatives, row, [_SOS, *found, _EOS])
        _fill(identifiers, levels, relatives, row + len(forward), [_EOS, *found[::-1], _SOS])
    device = targets.device
    return PositionTargets(identifiers.to(device), levels.to(device), relatives.to(device))


def _fill(
    identifiers: Tensor, levels: Tensor, relatives: Tensor, row: int, places: Sequence[Position]
) -> None:
    """Write one row; `places` has one entry more than the row has inputs, or targets."""
    count = len(places) - 1
    codes = [[*place.identifier, *[0] * DEPTH][:DEPTH] for place in places[:-1]]
    identifiers[row, :count] = torch.tensor(codes, dtype=identifiers.dtype)
    levels[row, :count] = torch.tensor([place.level for place in places[1:]])
    relatives[row, :count] = torch.tensor([place.relative for place in places[1:]])


@lru_cache(_CACHED)
def _positions(tokens: tuple[str, ...]) -> list[Position] | None:
    """Labels of a caption, or None; captions come back every epoch."""
    try:
        return positions(tokens)
    except LatexError:
        return None
