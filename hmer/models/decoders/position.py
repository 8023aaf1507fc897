"""What PosFormer adds to a decoder: places in the position forest, and which steps count.

Guan et al., ECCV 2024: section 3.2 (position forest) and 3.3 (implicit attention correction).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.latex.labels import LEVELS, POSITIONS
from hmer.latex.vocabulary import Vocabulary
from hmer.models.decoders.arm import ArmConfig
from hmer.models.decoders.position_labels import DEPTH, IGNORED, PositionTargets
from hmer.models.decoders.refined import RefinedDecoder, RefinedDecoderConfig
from hmer.models.grid import both_rows, stack_rows
from hmer.models.positions import sinusoid

_UNSEEN = ("^", "_", "{")


def seen_tokens(words: Vocabulary) -> Tensor:
    """Which tokens cover what is attended to after them: bool (len(words),).

    After `^`, `_` and `{` a decoder looks at no symbol of its own, so these steps must not count
    as having seen one (implicit attention correction). `}` counts, in either direction.
    """
    table = torch.ones(len(words), dtype=torch.bool)
    table[words.encode(token for token in _UNSEEN if token in words)] = False
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
        logits.float().flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (labels != IGNORED).sum().clamp(min=1)
