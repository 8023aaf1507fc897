"""CBAM inside the ARM, against its formulas cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.grid import both_rows, stack_rows
from hmer.models.hmer_mtl import MTL_KEPT, Cbam, HmerMtl, HmerMtlConfig
from tests.hmer.models.conftest import CAPTIONS, ENCODER, BatchMaker


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


CONFIG = HmerMtlConfig(
    encoder=ENCODER,
    decoder=RefinedDecoderConfig(layers=2, width=16, heads=2, feedforward=16, dropout=0.0),
    word_weight=0.5,
    implicit_weight=2.0,
)


def recogniser(words: Vocabulary) -> HmerMtl:
    torch.manual_seed(0)
    return HmerMtl(CONFIG, words)


@torch.no_grad()
def test_losses_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    losses, logits = made.losses(batch)
    assert set(losses) == {"word", "implicit"}
    assert logits.shape == (8, 8, 10)  # the blank is no word
    hidden, _ = made.hidden(both_rows(batch.inputs), made.encode(batch.images))
    hidden = stack_rows(hidden)
    words, tags = made.head(hidden), made.implicit_head(hidden)
    assert words.shape == tags.shape == (8, 8, 11)
    total = {"word": 0.0, "implicit": 0.0}
    count = 0
    for row, line in enumerate(batch.targets.tolist()):
        for place, target in enumerate(line):
            if target == 0:
                continue
            count += 1
            total["word"] -= float(words[row, place].log_softmax(0)[target])
            name = toy_words.tokens[target - 3] if target > 2 else "stop"
            kept = target < 3 or name in MTL_KEPT
            tag = target if kept else 10
            total["implicit"] -= float(tags[row, place].log_softmax(0)[tag])
    assert float(losses["word"]) == pytest.approx(0.5 * total["word"] / count, rel=1e-4)
    assert float(losses["implicit"]) == pytest.approx(2 * total["implicit"] / count, rel=1e-4)
