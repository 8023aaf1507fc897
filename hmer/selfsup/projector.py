"""The small heads between features and a contrastive loss; thrown away afterwards.

*Our design*, after SimCLR.
"""

from __future__ import annotations

from torch import nn


def projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two-layer perceptron (Chen et al., 2020, section 4.2), with layer norm between.

    Layer norm in place of batch norm: it works on single cells as on whole expressions and for
    any batch.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, outputs)
    )
