"""BTTR, CoMER and what their kin share: as wholes, and implicit targets by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig
from hmer.models.common.grid import (
    Adapter,
    GridRecogniser,
    blank_weights,
    both_rows,
    stack_rows,
    tag_table,
)
from hmer.models.common.layers import image_code
from hmer.models.hmer_mtl import MTL_KEPT
from hmer.models.ical import ICAL_KEPT
from hmer.models.registry import build_recogniser
from tests.hmer.models.conftest import CAPTIONS, ENCODER, BatchMaker, surprise

DECODER = RefinedDecoderConfig(layers=3, width=16, heads=2, feedforward=16, dropout=0.0)


def recogniser(
    kind: str, words: Vocabulary, *, encoder: EncoderConfig = ENCODER, smoothing: float = 0.0
) -> GridRecogniser:
    torch.manual_seed(0)
    config = {"encoder": encoder, "decoder": DECODER, "label_smoothing": smoothing}
    found = build_recogniser(kind, config, words)
    assert isinstance(found, GridRecogniser)
    return found


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
    wanted = surprise(logits, batch.targets)
    assert float(losses["word"]) == pytest.approx(wanted, rel=1e-4)
    smoothed = recogniser(kind, toy_words, smoothing=0.2).eval().losses(batch)[0]["word"]
    assert float(smoothed) != pytest.approx(wanted, rel=1e-3)


@torch.no_grad()
def test_adapters() -> None:
    """BTTR: projection, ReLU, layer norm, code; CoMER: projection, code, layer norm."""
    torch.manual_seed(0)
    features = torch.randn(2, 5, 2, 3)
    valid = torch.ones(2, 2, 3, dtype=torch.bool)
    for code_first in (False, True):
        made = Adapter(5, 8, code_first=code_first)
        nn.init.normal_(made.norm.weight)
        found = made(features, valid)
        cells = features.permute(0, 2, 3, 1) @ made.project.weight.T + made.project.bias

        def norm(x: Tensor, made: Adapter = made) -> Tensor:
            x = x - x.mean(dim=-1, keepdim=True)
            spread = (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
            return x / spread * made.norm.weight

        if code_first:
            wanted = norm(cells + image_code(valid, 8))
        else:
            wanted = norm(cells.clamp(min=0)) + image_code(valid, 8, paired=False)
        torch.testing.assert_close(found, wanted.flatten(1, 2))


@KINDS
def test_any_encoder(kind: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made = recogniser(kind, toy_words, encoder=DenseNetConfig(growth=4, layers=1))
    assert made.stride == 16
    assert made.losses(draw_batch(*CAPTIONS))[1].shape == (8, 8, 10)


WORDS = Vocabulary("toy", ["a", "b", "^", "{", "}"])  # numbers 3 to 7
BLANK = 8


def test_everything_but_structure_becomes_blank() -> None:
    table = tag_table(WORDS, ICAL_KEPT)
    assert table.tolist() == [0, 1, 2, BLANK, BLANK, 5, 6, 7]
    both = torch.tensor([[3, 5, 6, 4, 7, 2, 0], [7, 4, 6, 5, 3, 1, 0]])
    assert table[both].tolist() == [[8, 5, 6, 8, 7, 2, 0], [7, 8, 6, 5, 8, 1, 0]]


@pytest.mark.parametrize(("kept", "count"), [(ICAL_KEPT, 4), (MTL_KEPT, 17)])
def test_the_field_s_lists(kept: frozenset[str], count: int) -> None:
    words = vocabulary("comer")
    table = tag_table(words, kept)
    assert int((table < len(words)).sum()) == 3 + count
    assert int((table == 113).sum()) == 110 - count


@pytest.mark.parametrize(("blanks", "weight"), [(5, 2.10), (8, 2.79), (0, 1.69), (10, 10.0)])
def test_weights(blanks: int, weight: float) -> None:
    # Padding counts among the places: 10 in all.
    tags = torch.tensor([([4] * blanks + [1, 3] + [0] * 8)[:10]])
    found = blank_weights(tags, 5).tolist()
    assert found[4] == 1.0
    assert found[:4] == pytest.approx([weight] * 4, abs=0.005)
