"""The recurrent recogniser as a whole, and its decoder against the formulas, number by number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.attention_coverage import (
    AttentionCoverage,
    AttentionCoverageConfig,
    CoverageMemory,
    GruConfig,
    GruDecoder,
)
from tests.hmer.models.conftest import CAPTIONS, ENCODER, BatchMaker, surprise

WHOLE = AttentionCoverageConfig(
    encoder=ENCODER,
    decoder=GruConfig(width=16, attention=16, inner=16, kernel=5, dropout=0.0),
)


def recogniser(words: Vocabulary) -> AttentionCoverage:
    torch.manual_seed(0)
    return AttentionCoverage(WHOLE, words)


@torch.no_grad()
def test_loss_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:2])
    losses, logits = made.losses(batch)
    assert set(losses) == {"word"}
    assert logits.shape == (4, 8, 10)
    assert int((batch.targets != 0).sum()) == 16
    assert float(losses["word"]) == pytest.approx(surprise(logits, batch.targets), rel=1e-4)


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


CLASSES, CHANNELS = 7, 5
CONFIG = GruConfig(width=8, attention=9, inner=8, kernel=3, dropout=0.0)
Array = NDArray[np.float64]


def decoder(config: GruConfig = CONFIG) -> GruDecoder:
    torch.manual_seed(0)
    made = GruDecoder(config, CHANNELS, CLASSES)
    with torch.no_grad():
        made.attend.energy.weight.mul_(6.0)  # attention with peaks
        made.attend.cover.weight.mul_(6.0)
    return made.eval()


def grid() -> tuple[Tensor, Tensor]:
    """Features of two maps, one of them with padding."""
    features = torch.randn(2, CHANNELS, 3, 4, generator=torch.Generator().manual_seed(1))
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[1, :, 2:] = False
    valid[1, 2] = False
    return features, valid


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def gru(cell: nn.GRUCell, x: Array, h: Array) -> Array:
    """Cho et al. (2014), the gates one after the other."""
    width = len(h)
    from_x = array(cell.weight_ih) @ x + array(cell.bias_ih)
    from_h = array(cell.weight_hh) @ h + array(cell.bias_hh)
    reset = sigmoid(from_x[:width] + from_h[:width])
    update = sigmoid(from_x[width : 2 * width] + from_h[width : 2 * width])
    new = np.tanh(from_x[2 * width :] + reset * from_h[2 * width :])
    return np.asarray((1 - update) * new + update * h)


def look(made: GruDecoder, hidden: Array, features: Array, valid: Array, past: Array) -> Array:
    """Attention (h, w) for one state, cell by cell; `past` is the sum of all attention before."""
    attend = made.attend
    kernel = array(attend.cover.weight)[:, 0]
    half = kernel.shape[1] // 2
    rows, columns = valid.shape
    exponents = np.zeros_like(past)
    for row in range(rows):
        for column in range(columns):
            if not valid[row, column]:
                continue
            cover = np.zeros(len(kernel))
            for i in range(-half, half + 1):
                for j in range(-half, half + 1):
                    if 0 <= row + i < rows and 0 <= column + j < columns:
                        cover += kernel[:, half + i, half + j] * past[row + i, column + j]
            key = array(attend.key.weight) @ features[:, row, column] + array(attend.key.bias)
            inner = np.tanh(array(attend.query.weight) @ hidden + key + cover)
            exponents[row, column] = np.exp(array(attend.energy.weight)[0] @ inner)
    return np.asarray(exponents / exponents.sum())


def slow(
    made: GruDecoder, features: Array, valid: Array, tokens: list[int]
) -> tuple[list[Array], list[Array]]:
    """Logits and attention for one input sequence over one map."""
    inside = [features[:, r, c] for r, c in zip(*np.nonzero(valid), strict=True)]
    mean = np.mean(inside, axis=0)
    hidden = np.tanh(array(made.first.weight) @ mean + array(made.first.bias))
    past = np.zeros(valid.shape)
    logits, maps = [], []
    for token in tokens:
        embedded = array(made.embed.weight)[token]
        middle = gru(made.lower, embedded, hidden)
        weights = look(made, middle, features, valid, past)
        context = np.asarray((features * weights).sum(axis=(1, 2)))
        hidden = gru(made.upper, context, middle)
        past = past + weights
        mixed = (
            array(made.from_state.weight) @ hidden + array(made.from_state.bias)
            + array(made.from_token.weight) @ embedded + array(made.from_context.weight) @ context
        )  # fmt: skip
        inner = np.array([max(mixed[2 * i], mixed[2 * i + 1]) for i in range(len(mixed) // 2)])
        logits.append(array(made.head.weight) @ inner + array(made.head.bias))
        maps.append(weights)
    return logits, maps


@torch.no_grad()
def test_number_by_number() -> None:
    made = decoder()
    features, valid = grid()
    tokens = torch.tensor([[[1, 4, 3, 5], [2, 6, 6, 1]], [[1, 5, 5, 5], [2, 3, 4, 6]]])
    logits, maps = made(tokens, made.remember(features, valid))
    assert logits.shape == (2, 2, 4, CLASSES)
    assert maps.shape == (2, 2, 4, 12)
    for image in range(2):
        for row in range(2):
            expected, looked = slow(
                made, array(features[image]), array(valid[image]), tokens[image, row].tolist()
            )
            np.testing.assert_allclose(logits[image, row], expected, atol=1e-5)
            np.testing.assert_allclose(maps[image, row].view(4, 3, 4), looked, atol=1e-6)


@torch.no_grad()
def test_coverage_matters() -> None:
    made = decoder()
    memory = made.remember(*grid())
    tokens = torch.tensor([[[4, 4, 4]], [[4, 4, 4]]])
    covered = made(tokens, memory)[1]
    made.attend.cover.weight.zero_()
    blind = made(tokens, memory)[1]
    torch.testing.assert_close(covered[:, :, 0], blind[:, :, 0])
    assert (covered[:, :, 1] - blind[:, :, 1]).abs().max() > 0.05


@torch.no_grad()
def test_stepwise_as_at_once() -> None:
    made = decoder(CONFIG.model_copy(update={"dropout": 0.5}))
    memory = made.remember(*grid())
    tokens = torch.randint(0, CLASSES, (2, 3, 6), generator=torch.Generator().manual_seed(2))
    whole, _ = made(tokens, memory)
    past: tuple[Tensor, ...] = ()
    for place in range(6):
        stepped, past = made.step(tokens[..., place], memory, past)
        assert [cache.shape for cache in past] == [(2, 3, 8), (2, 3, 12)]
        torch.testing.assert_close(stepped, whole[:, :, place], rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_does_not_matter() -> None:
    made = decoder()
    features, valid = grid()
    tokens = torch.tensor([[[1, 4, 3]], [[1, 5, 6]]])
    logits, maps = made(tokens, made.remember(features, valid))
    assert not maps.masked_select(~valid.flatten(1)[:, None, None]).any()
    spoilt = features.masked_fill(~valid.unsqueeze(1), torch.nan)
    torch.testing.assert_close(made(tokens, made.remember(spoilt, valid))[0], logits)
    own = made.remember(features[1:, :, :2, :2], valid[1:, :2, :2])
    torch.testing.assert_close(made(tokens[1:], own)[0], logits[1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", [1, 100, 1 << 18])
def test_in_parts_as_at_once(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading compares few hypotheses at a time, on the valid part of the grid."""
    monkeypatch.setattr("hmer.models.attention_coverage._PART", part)
    made = decoder()
    memory = made.remember(*grid())
    hidden = torch.randn(2, 5, 8)
    coverage = torch.rand(2, 5, 12) * memory.valid.unsqueeze(1)
    at_once = made.attend(hidden, coverage, memory)
    assert at_once.requires_grad
    with torch.no_grad():
        found = made.attend(hidden, coverage, memory)
    torch.testing.assert_close(found, at_once.detach(), rtol=1e-5, atol=1e-6)
    assert found.sum(dim=2).flatten().tolist() == pytest.approx([1.0] * 10)


@torch.no_grad()
def test_memory() -> None:
    made = decoder()
    memory = made.remember(*grid())
    assert isinstance(memory, CoverageMemory)
    assert memory.grid == (3, 4)
    assert {len(part) for part in memory[:4]} == {2}
    assert torch.isfinite(memory.start).all()


@pytest.mark.parametrize("enabled", [False, True])
def test_trains_in_both_precisions(enabled: bool) -> None:
    made = decoder().train()
    features, valid = grid()
    tokens = torch.tensor([[[1, 4, 3]], [[1, 5, 6]]])
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        logits, _ = made(tokens, made.remember(features, valid))
        logits.float().logsumexp(dim=-1).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_an_even_kernel_has_no_middle() -> None:
    with pytest.raises(ValueError, match="must be odd, not 4"):
        GruConfig(kernel=4)
