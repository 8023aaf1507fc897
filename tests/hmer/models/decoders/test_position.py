"""PosFormer's additions, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.decoders.position import PositionEmbedding, PositionHeads, seen_tokens
from hmer.models.decoders.position_labels import IGNORED, PositionTargets


def test_openings_are_not_seen() -> None:
    words = vocabulary("comer")
    table = seen_tokens(words)
    assert table.shape == (113,)
    assert {words.tokens[i - 3] for i, seen in enumerate(table) if not seen} == {"^", "_", "{"}
    assert seen_tokens(Vocabulary("flat", ["a", "_"])).tolist() == [True] * 4 + [False]


def normed(x: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-5)
    return [(v - mean) / deviation for v in x]


@torch.no_grad()
def test_embedding_number_by_number() -> None:
    torch.manual_seed(0)
    embedding = PositionEmbedding(6)
    identifiers = torch.tensor([[[1, 0, 0, 0, 0], [4, 5, 3, 0, 0], [3, 0, 0, 0, 0]]]).float()
    found = embedding(identifiers)
    weight, bias = embedding.project.weight.tolist(), embedding.project.bias.tolist()
    for place in range(3):
        codes = identifiers[0, place].tolist()
        linear = [
            sum(w * c for w, c in zip(row, codes, strict=True)) + b
            for row, b in zip(weight, bias, strict=True)
        ]
        content = normed([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in linear])
        wave = [
            (math.sin if channel % 2 == 0 else math.cos)(place / 10_000 ** (channel // 2 * 2 / 6))
            for channel in range(6)
        ]
        expected = normed([c + w for c, w in zip(content, wave, strict=True)])
        assert found[0, place].tolist() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_losses_number_by_number() -> None:
    torch.manual_seed(0)
    heads = PositionHeads(8)
    hidden = torch.randn(2, 3, 8)
    levels = torch.tensor([[0, 4, IGNORED], [2, IGNORED, IGNORED]])
    relatives = torch.tensor([[3, 5, IGNORED], [2, IGNORED, IGNORED]])
    targets = PositionTargets(torch.zeros(2, 3, 5), levels, relatives)
    for loss, head, labels in zip(
        heads.losses(hidden, targets), (heads.level, heads.relative), (levels, relatives),
        strict=True,
    ):  # fmt: skip
        surprises = [
            -float(head(hidden[row, place]).log_softmax(0)[labels[row, place]])
            for row, place in ((0, 0), (0, 1), (1, 0))
        ]
        assert float(loss) == pytest.approx(sum(surprises) / 3, rel=1e-5)


def test_no_label_no_loss() -> None:
    heads = PositionHeads(8)
    nothing = torch.full((1, 2), IGNORED)
    losses = heads.losses(
        torch.randn(1, 2, 8, requires_grad=True),
        PositionTargets(torch.zeros(1, 2, 5), nothing, nothing),
    )
    assert [float(loss.detach()) for loss in losses] == [0.0, 0.0]
    sum(losses).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and not p.grad.any() for p in heads.parameters())
