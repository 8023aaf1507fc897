"""HMER-MTL as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hmer.latex.labels import MTL_KEPT, implicit_tags
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.decoders.cbam import Cbam
from hmer.models.decoders.refined import RefinedDecoderConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.grid import both_rows, stack_rows
from hmer.models.hmer_mtl import HmerMtl, HmerMtlConfig
from hmer.models.interface import Batch

BatchMaker = Callable[..., Batch]
CONFIG = HmerMtlConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    decoder=RefinedDecoderConfig(layers=2, width=16, heads=2, feedforward=16, dropout=0.0),
    word_weight=0.5,
    implicit_weight=2.0,
)
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a }", "a b")


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
            kept = target < 3 or implicit_tags([name], MTL_KEPT) == [name]
            tag = target if kept else 10
            total["implicit"] -= float(tags[row, place].log_softmax(0)[tag])
    assert float(losses["word"]) == pytest.approx(0.5 * total["word"] / count, rel=1e-4)
    assert float(losses["implicit"]) == pytest.approx(2 * total["implicit"] / count, rel=1e-4)


@torch.no_grad()
def test_steps_as_taught(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    wanted = both_rows(made.losses(batch)[1])
    encoded = made.encode(batch.images)
    rows = both_rows(batch.inputs)
    past: tuple[Tensor, ...] = ()
    for position in range(rows.shape[2]):
        stepped, past = made.step(rows[..., position], encoded, past)
        torch.testing.assert_close(stepped, wanted[:, :, position], rtol=0, atol=1e-5)


def test_gradients_reach_every_part(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made = recogniser(toy_words).train()
    losses, _ = made.losses(draw_batch(*CAPTIONS))
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert any(isinstance(part, Cbam) for part in made.modules())
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name.endswith("weight"):
            assert parameter.grad.abs().max() > 0, name


def test_the_fields_size() -> None:
    with torch.device("meta"):
        made = HmerMtl(HmerMtlConfig(), vocabulary("comer"))
    assert sum(p.numel() for p in made.parameters()) == 6_420_024
    assert made.classes == 114
