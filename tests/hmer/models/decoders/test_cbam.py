"""CBAM inside the ARM, against its formulas cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.decoders.cbam import Cbam


def trained(channels: int = 4) -> Cbam:
    torch.manual_seed(0)
    made = Cbam(channels, ratio=2, side=3)
    made.norm.running_mean.fill_(0.3)
    made.norm.running_var.fill_(0.6)
    nn.init.constant_(made.norm.weight, 1.4)
    nn.init.constant_(made.norm.bias, -0.2)
    return made.eval()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def reference(made: Cbam, hidden: Tensor) -> Tensor:
    """One map (channels, h, w) without padding, number by number."""
    channels, height, width = hidden.shape
    weights = made.state_dict()

    def mlp(x: Tensor) -> Tensor:
        inner = (weights["mlp.0.weight"] @ x + weights["mlp.0.bias"]).clamp(min=0)
        said: Tensor = weights["mlp.2.weight"] @ inner + weights["mlp.2.bias"]
        return said

    mean = torch.stack([hidden[c].sum() / (height * width) for c in range(channels)])
    most = torch.stack([hidden[c].max() for c in range(channels)])
    said = mlp(mean) + mlp(most)
    gated = torch.stack([hidden[c] * sigmoid(float(said[c])) for c in range(channels)])
    kernel = weights["conv.weight"][0]
    out = torch.zeros_like(gated)
    for row in range(height):
        for column in range(width):
            total = 0.0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    y, x = row + dy, column + dx
                    if 0 <= y < height and 0 <= x < width:
                        total += float(kernel[0, dy + 1, dx + 1] * gated[:, y, x].mean())
                        total += float(kernel[1, dy + 1, dx + 1] * gated[:, y, x].max())
            total = (total - 0.3) / math.sqrt(0.6 + 1e-5) * 1.4 - 0.2
            out[:, row, column] = gated[:, row, column] * sigmoid(total)
    return out


@torch.no_grad()
def test_formulas() -> None:
    made = trained()
    hidden = torch.rand(2, 3, 4, 3, 5)
    found = made(hidden, torch.ones(2, 3, 5, dtype=torch.bool))
    for b in range(2):
        for step in range(3):
            torch.testing.assert_close(found[b, step], reference(made, hidden[b, step]))


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_padding_does_not_matter(training: bool) -> None:
    made = trained().train(training)
    hidden = torch.rand(2, 3, 4, 3, 5)
    alone = made(hidden, torch.ones(2, 3, 5, dtype=torch.bool))
    statistics = made.norm.running_var.clone()
    made = trained().train(training)
    valid = functional.pad(torch.ones(2, 3, 5, dtype=torch.bool), (0, 4, 0, 2))
    padded = made(functional.pad(hidden, (0, 4, 0, 2)), valid)
    torch.testing.assert_close(padded[..., :3, :5], alone)
    torch.testing.assert_close(made.norm.running_var, statistics)
    assert not padded[..., 3:, :].any() and not padded[..., 5:].any()


def test_the_fields_size() -> None:
    assert sum(p.numel() for p in Cbam(32).parameters()) == 32 * 16 * 2 + 16 + 32 + 2 * 49 + 2
