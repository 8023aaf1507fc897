"""BTTR, CoMER and what they share, as wholes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.bttr import BTTR, BTTRAdapter, BTTRConfig
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.common.grid import (
    CoMER,
    CoMERAdapter,
    CoMERConfig,
    GridRecogniser,
    both_rows,
    stack_rows,
)
from hmer.models.common.layers import image_code

BatchMaker = Callable[..., Batch]
ENCODER = CompactConfig(width=8, blocks=(1, 1, 1))
DECODER = RefinedDecoderConfig(layers=3, width=16, heads=2, feedforward=16, dropout=0.0)
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a }", "a b")


def recogniser(kind: str, words: Vocabulary, smoothing: float = 0.0) -> GridRecogniser:
    torch.manual_seed(0)
    shared = {"encoder": ENCODER, "decoder": DECODER, "label_smoothing": smoothing}
    if kind == "bttr":
        return BTTR(BTTRConfig.model_validate(shared), words)
    return CoMER(CoMERConfig.model_validate(shared), words)


KINDS = pytest.mark.parametrize("kind", ["bttr", "comer"])


def test_rows() -> None:
    rows = torch.arange(6)[:, None] * 10 + torch.arange(4)
    beside = both_rows(rows)
    assert beside[:, :, 0].tolist() == [[0, 30], [10, 40], [20, 50]]
    assert torch.equal(stack_rows(beside), rows)


@KINDS
@torch.no_grad()
def test_losses_by_hand(kind: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(kind, toy_words).eval(), draw_batch(*CAPTIONS)
    losses, logits = made.losses(batch)
    assert set(losses) == {"word"}
    assert logits.shape == (8, 8, 10)
    surprises = [
        -float(logits[row, place].log_softmax(0)[target])
        for row, line in enumerate(batch.targets.tolist())
        for place, target in enumerate(line)
        if target != 0
    ]
    assert float(losses["word"]) == pytest.approx(sum(surprises) / len(surprises), rel=1e-4)
    smoothed = recogniser(kind, toy_words, 0.2).eval().losses(batch)[0]["word"]
    assert float(smoothed) != pytest.approx(float(losses["word"]), rel=1e-3)


@torch.no_grad()
def test_adapters() -> None:
    """BTTR: projection, ReLU, layer norm, code; CoMER: projection, code, layer norm."""
    torch.manual_seed(0)
    features = torch.randn(2, 5, 2, 3)
    valid = torch.ones(2, 2, 3, dtype=torch.bool)
    for kind in (BTTRAdapter, CoMERAdapter):
        made = kind(5, 8)
        nn.init.normal_(made.norm.weight)
        found = made(features, valid)
        cells = features.permute(0, 2, 3, 1) @ made.project.weight.T + made.project.bias

        def norm(x: Tensor, made: BTTRAdapter | CoMERAdapter = made) -> Tensor:
            x = x - x.mean(dim=-1, keepdim=True)
            spread = (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
            return x / spread * made.norm.weight

        if kind is BTTRAdapter:
            wanted = norm(cells.clamp(min=0)) + image_code(valid, 8, paired=False)
        else:
            wanted = norm(cells + image_code(valid, 8))
        torch.testing.assert_close(found, wanted.flatten(1, 2))


@KINDS
def test_any_encoder(kind: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    small = DenseNetConfig(growth=4, layers=1)
    config = {"encoder": small, "decoder": DECODER}
    made: GridRecogniser
    if kind == "bttr":
        made = BTTR(BTTRConfig.model_validate(config), toy_words)
    else:
        made = CoMER(CoMERConfig.model_validate(config), toy_words)
    assert made.stride == 16
    assert made.losses(draw_batch(*CAPTIONS))[1].shape == (8, 8, 10)
