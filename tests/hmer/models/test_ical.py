"""ICAL as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.decoders.refined import RefinedDecoderConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.grid import both_rows, stack_rows
from hmer.models.ical import ICAL, ICALConfig
from hmer.models.interface import Batch

BatchMaker = Callable[..., Batch]
CONFIG = ICALConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    decoder=RefinedDecoderConfig(layers=2, width=16, heads=2, feedforward=16, dropout=0.0),
)
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a }", "a b")


def recogniser(words: Vocabulary, config: ICALConfig = CONFIG) -> ICAL:
    torch.manual_seed(0)
    return ICAL(config, words)


@torch.no_grad()
@pytest.mark.parametrize("weighted", [True, False])
def test_losses_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker, weighted: bool) -> None:
    made = recogniser(toy_words, CONFIG.model_copy(update={"dynamic_weight": weighted})).eval()
    batch = draw_batch(*CAPTIONS[:2])
    losses, logits = made.losses(batch)
    assert set(losses) == {"word", "explicit", "implicit"}
    assert logits.shape == (4, 8, 10)

    hidden, _ = made.hidden(both_rows(batch.inputs), made.encode(batch.images))
    explicit = stack_rows(hidden)
    implicit = made.implicit(explicit)
    gate = torch.sigmoid(
        torch.cat([explicit, implicit], dim=-1) @ made.fusion.gate.weight.T + made.fusion.gate.bias
    )
    fused = made.head((gate * implicit + (1 - gate) * explicit).relu())
    torch.testing.assert_close(logits, fused[..., :10])
    sums = {"word": 0.0, "explicit": 0.0, "implicit": 0.0}
    total_weight = 0.0
    # "a ^ { 1 }" + stop and "b" + stop: blanks are a, 1 and b, both ways, among 4 * 8 places.
    heavy = float(1 + torch.log(torch.tensor(1 + 1 / (1 - 6 / 32)))) if weighted else 1.0
    for row, line in enumerate(batch.targets.tolist()):
        for place, target in enumerate(line):
            if target == 0:
                continue
            tag = 10 if target in (3, 4, 5) else target
            weight = 1.0 if tag == 10 else heavy
            sums["word"] -= float(fused[row, place].log_softmax(0)[target])
            seen = made.explicit_head(explicit[row, place])
            sums["explicit"] -= float(seen.log_softmax(0)[target])
            felt = made.implicit_head(implicit[row, place].relu())
            sums["implicit"] -= weight * float(felt.log_softmax(0)[tag])
            total_weight += weight
    count = 2 * (6 + 2)
    assert float(losses["word"]) == pytest.approx(sums["word"] / count, rel=1e-4)
    assert float(losses["explicit"]) == pytest.approx(sums["explicit"] / count, rel=1e-4)
    assert float(losses["implicit"]) == pytest.approx(sums["implicit"] / total_weight, rel=1e-4)


@torch.no_grad()
def test_stepwise_as_at_once(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    rows = both_rows(batch.inputs)
    whole = both_rows(made.losses(batch)[1])
    encoded = made.encode(batch.images)
    past: tuple[Tensor, ...] = ()
    for place in range(rows.shape[2]):
        stepped, past = made.step(rows[..., place], encoded, past)
        assert all(cache.shape[:2] == (4, 2) for cache in past)
        torch.testing.assert_close(stepped, whole[:, :, place], rtol=0, atol=1e-5)


@torch.no_grad()
def test_reading_needs_no_training_parts(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    logits = made.losses(batch)[1]
    for name in made.training_only:
        delattr(made, name)
    encoded = made.encode(batch.images)
    stepped, _ = made.step(batch.inputs[:4, :1], encoded, ())
    torch.testing.assert_close(stepped[:, 0], logits[:4, 0], rtol=0, atol=1e-5)
    assert made.attention_maps(batch.inputs[:4], encoded).shape == (4, 8, 4, 6)


@torch.no_grad()
def test_company_does_not_matter(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    # Paper of more than the encoder's reach to the right and below.
    made, batch = recogniser(toy_words).eval(), draw_batch("a")
    own = functional.pad(batch.images, (0, 64, 0, 64))
    wide = torch.cat([functional.pad(own, (0, 48, 0, 32)), torch.ones(1, 1, 128, 160)])
    past: list[tuple[Tensor, ...]] = [(), ()]
    for token in (1, 5, 3):
        alone, past[0] = made.step(torch.tensor([[token]]), made.encode(own), past[0])
        together, past[1] = made.step(torch.tensor([[token], [4]]), made.encode(wide), past[1])
        torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)


def test_learns(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).train(), draw_batch(*CAPTIONS)
    optimiser = torch.optim.Adam(made.parameters(), lr=5e-3)
    values = []
    for _ in range(10):
        total = torch.stack(list(made.losses(batch)[0].values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        values.append(total.item())
    assert values[-1] < 0.8 * values[0]
    assert not [name for name, p in made.named_parameters() if p.grad is None]


def test_size_of_the_published_one() -> None:
    made = ICAL(ICALConfig(), vocabulary("comer"))
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(7.369e6, rel=1e-3)
    assert made.classes == 114
