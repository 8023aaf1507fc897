"""PosFormer (Guan et al., ECCV 2024): CoMER that also learns places in a position forest.

Section 3.2 (position forest) and 3.3 (implicit attention correction).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import UNKNOWN, Batch
from hmer.errors import LatexError
from hmer.latex.tree import Relation, parse, place_tokens
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Entry
from hmer.models.common.coverage_decoder import (
    ArmConfig,
    GridMemory,
    RefinedDecoder,
    RefinedDecoderConfig,
)
from hmer.models.common.grid import CoMER, CoMERConfig, both_rows, stack_rows
from hmer.models.common.layers import sinusoid

MAIN, UPPER, LOWER = 3, 4, 5
"""Branch codes of PosFormer's position forest; 0, 1, 2 are padding, start and end."""

LEVELS = 5
"""Classes of the nested level: 0 to 4, deeper counts as 4."""

POSITIONS = 6
"""Classes of the relative position: padding, start, end, main line, upper, lower."""

_BRANCH = {
    Relation.SUP: UPPER,
    Relation.ABOVE: UPPER,
    Relation.INDEX: UPPER,
    Relation.SUB: LOWER,
    Relation.BELOW: LOWER,
    Relation.INSIDE: LOWER,
}


class Position(NamedTuple):
    """Place of a token in PosFormer's position forest."""

    identifier: tuple[int, ...]
    """Branch codes of the enclosing groups, outermost first, then `MAIN`."""
    level: int
    """0 to 4."""
    relative: int
    """A branch code."""


def positions(tokens: Sequence[str]) -> list[Position]:
    """Position-forest labels (PosFormer, ECCV 2024), one per token.

    Scripts, limits, numerators and root indices above are `UPPER`; below, and under a radical or
    an accent, `LOWER`. Structure tokens belong to the line of the symbol that carries them.

    Raises:
        LatexError: the tokens cannot be parsed.
    """
    found = []
    for placed in place_tokens(parse(tokens)):
        identifier = (*(_BRANCH[relation] for relation in placed.path), MAIN)
        level = min(len(identifier) - 1, LEVELS - 1)
        found.append(Position(identifier, level, identifier[max(level - 1, 0)]))
    return found


DEPTH = 5
"""Numbers of an identifier that the position decoder is told; deeper ones are cut off."""

_SOS, _EOS = (Position((code,), 0, code) for code in (Vocabulary.sos, Vocabulary.eos))
"""Start and stop, whose branch codes 1 and 2 happen to be their token numbers."""


class PositionTargets(NamedTuple):
    """What the position decoder reads and what it should answer; R rows of T places."""

    identifiers: Tensor
    """float (R, T, DEPTH): branch codes of the input tokens, outermost first, then 0."""
    levels: Tensor
    """int64 (R, T): nested level of the target tokens, or `UNKNOWN`."""
    relatives: Tensor
    """int64 (R, T): relative position of the target tokens, or `UNKNOWN`."""


def position_targets(targets: Tensor, words: Vocabulary) -> PositionTargets:
    """The labels of a batch, from its targets (2B, T), see `Batch`.

    The stop has level 0 and its own code as relative position. (The published code gives it
    padding's code, except in the longest caption of a batch, where it gives that of the start.)
    A caption that cannot be parsed has no labels.
    """
    rows, length = targets.shape
    identifiers = torch.zeros(rows, length, DEPTH)
    levels = torch.full((rows, length), UNKNOWN)
    relatives = torch.full((rows, length), UNKNOWN)
    forward = targets[: rows // 2].tolist()
    for number, numbers in enumerate(forward):
        found = _positions(tuple(words.decode(numbers)))
        if found is None:
            continue
        places = [_SOS, *found, _EOS]
        for row, read in ((number, places), (number + len(forward), places[::-1])):
            count = len(read) - 1
            codes = [[*place.identifier, *[0] * DEPTH][:DEPTH] for place in read[:-1]]
            identifiers[row, :count] = torch.tensor(codes, dtype=identifiers.dtype)
            levels[row, :count] = torch.tensor([place.level for place in read[1:]])
            relatives[row, :count] = torch.tensor([place.relative for place in read[1:]])
    device = targets.device
    return PositionTargets(identifiers.to(device), levels.to(device), relatives.to(device))


@lru_cache(65_536)
def _positions(tokens: tuple[str, ...]) -> list[Position] | None:
    """Labels of a caption, or None; captions come back every epoch."""
    try:
        return positions(tokens)
    except LatexError:
        return None


def seen_tokens(words: Vocabulary) -> Tensor:
    """Which tokens cover what is attended to after them: bool (len(words),).

    After `^`, `_` and `{` a decoder looks at no symbol of its own, so these steps must not count
    as having seen one (implicit attention correction). `}` counts, in either direction.
    """
    table = torch.ones(len(words), dtype=torch.bool)
    table[words.encode(token for token in "^_{" if token in words)] = False
    return table


class PositionEmbedding(nn.Module):
    """Identifiers of the position forest as a sequence of vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(DEPTH, width)
        self.norm_content, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, identifiers: Tensor) -> Tensor:
        """(R, T, width) of branch codes, float (R, T, DEPTH); codes are taken as numbers."""
        content = cast(Tensor, self.norm_content(functional.gelu(self.project(identifiers))))
        places = torch.arange(content.shape[1], device=content.device)
        return cast(Tensor, self.norm(content + sinusoid(places, content.shape[-1])))


class PositionHeads(nn.Module):
    """Nested level and relative position of the next token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.level = _perceptron(width, LEVELS)
        self.relative = _perceptron(width, POSITIONS)

    def losses(self, hidden: Tensor, targets: PositionTargets) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of level and of relative position (scalars), hidden (R, T, width).

        Without a single known label both are 0.
        """
        level = _mean_loss(self.level(hidden), targets.levels)
        return level, _mean_loss(self.relative(hidden), targets.relatives)


class PositionDecoder(nn.Module):
    """A decoder of its own that reads places and foresees the next token's; for training only."""

    def __init__(self, config: RefinedDecoderConfig, arm: ArmConfig) -> None:
        super().__init__()
        self.embed = PositionEmbedding(config.width)
        self.decoder = RefinedDecoder(config, arm)
        self.heads = PositionHeads(config.width)

    def losses(
        self, targets: PositionTargets, cells: Tensor, valid: Tensor, contributes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of level and of relative position (scalars).

        Args:
            targets: of 2B rows, both directions, of T places.
            cells: (B, h w, width), what the word decoder looks at, too.
            valid: bool (B, h, w), False for padding.
            contributes: bool (B, 2, T), the tokens whose attention counts as coverage.
        """
        x = both_rows(cast(Tensor, self.embed(targets.identifiers)))
        memory = self.decoder.remember(cells, valid)
        hidden, _ = self.decoder(x, memory, contributes=contributes)
        return self.heads.losses(stack_rows(hidden), targets)


def _perceptron(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, classes))


def _mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    total = functional.cross_entropy(
        logits.float().flatten(0, -2), labels.flatten(), ignore_index=UNKNOWN, reduction="sum"
    )
    return total / (labels != UNKNOWN).sum().clamp(min=1)


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
