"""The recurrent recogniser as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.area import written_area
from hmer.models.attention_coverage import AttentionCoverage, AttentionCoverageConfig
from hmer.models.decoders.gru import GruConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.interface import Batch

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


@torch.no_grad()
def test_stepwise_as_at_once(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:3])
    _, logits = made.losses(batch)
    encoded = made.encode(batch.images)
    rows = torch.stack([batch.inputs[:3], batch.inputs[3:]], dim=1)
    past: tuple[Tensor, ...] = ()
    for place in range(rows.shape[2]):
        stepped, past = made.step(rows[..., place], encoded, past)
        torch.testing.assert_close(stepped[:, 0], logits[:3, place], rtol=0, atol=1e-5)
        torch.testing.assert_close(stepped[:, 1], logits[3:, place], rtol=0, atol=1e-5)


@torch.no_grad()
def test_attention_lies_within_the_drawing(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:2])
    images = functional.pad(batch.images, (0, 32, 0, 16))
    maps = made.attention_maps(batch.inputs[:2], made.encode(images))
    assert maps.shape == (2, 8, 6, 10)
    assert maps.sum(dim=(2, 3)).flatten().tolist() == pytest.approx([1.0] * 16)
    assert not maps.masked_select(~written_area(images, made.stride)[:, None]).any()
    assert not maps[:, :, 4:].any() and not maps[:, :, :, 6:].any()


@torch.no_grad()
def test_company_does_not_matter(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    # Paper of more than the encoder's reach to the right and below.
    made, batch = recogniser(toy_words).eval(), draw_batch("a")
    own = functional.pad(batch.images, (0, 64, 0, 64))
    wide = torch.cat([functional.pad(own, (0, 48, 0, 32)), torch.ones(1, 1, 128, 160)])
    tokens = torch.tensor([[4], [6]])
    alone, _ = made.step(tokens[:1], made.encode(own), ())
    together, _ = made.step(tokens, made.encode(wide), ())
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_blank_paper_gives_finite_numbers(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:2])
    logits, _ = made.step(batch.inputs[:2, :1], made.encode(torch.zeros_like(batch.images)), ())
    assert torch.isfinite(logits).all()


def test_learns(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).train(), draw_batch(*CAPTIONS)
    optimiser = torch.optim.Adam(made.parameters(), lr=5e-3)
    values = []
    for _ in range(10):
        losses, _ = made.losses(batch)
        optimiser.zero_grad()
        losses["word"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        values.append(losses["word"].item())
    assert values[-1] < 0.8 * values[0]
    assert all(p.grad is not None for p in made.parameters())


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
