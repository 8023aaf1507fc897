"""The recurrent recogniser as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.attention_coverage import AttentionCoverage, AttentionCoverageConfig, GruConfig
from hmer.models.common.encoders import CompactConfig

BatchMaker = Callable[..., Batch]
CONFIG = AttentionCoverageConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    decoder=GruConfig(width=16, attention=16, inner=16, kernel=5, dropout=0.0),
)
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a }", "a b")


def recogniser(words: Vocabulary) -> AttentionCoverage:
    torch.manual_seed(0)
    return AttentionCoverage(CONFIG, words)


@torch.no_grad()
def test_loss_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:2])
    losses, logits = made.losses(batch)
    assert set(losses) == {"word"}
    assert logits.shape == (4, 8, 10)
    surprises = [
        -float(logits[row, place].log_softmax(0)[target])
        for row, line in enumerate(batch.targets.tolist())
        for place, target in enumerate(line)
        if target != 0
    ]
    assert len(surprises) == 16
    assert float(losses["word"]) == pytest.approx(sum(surprises) / 16, rel=1e-4)


def test_size_of_the_field_s_form() -> None:
    made = AttentionCoverage(AttentionCoverageConfig(), vocabulary("wap"))
    decoder = sum(p.numel() for p in made.decoder.parameters())
    channels, width, attention, inner = 684, 256, 256, 128
    assert decoder == (
        113 * width + (channels + 1) * width  # embedding, first state
        + 2 * 3 * width * (width + 1)  # lower layer
        + 3 * width * (channels + 1) + 3 * width * (width + 1)  # upper layer
        + (channels + 1) * attention + width * attention + 121 * attention + attention
        + 2 * inner * (width + 1 + width + channels) + (inner + 1) * 113
    )  # fmt: skip
