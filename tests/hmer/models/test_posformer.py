"""PosFormer as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.latex.labels import Position, positions
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.area import written_area
from hmer.models.decoders.refined import RefinedDecoderConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.grid import both_rows
from hmer.models.interface import Batch
from hmer.models.posformer import PosFormer, PosFormerConfig

BatchMaker = Callable[..., Batch]
CONFIG = PosFormerConfig(
    encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
    decoder=RefinedDecoderConfig(layers=3, width=16, heads=2, feedforward=16, dropout=0.0),
)
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a ^ { b } }", "a b")


def recogniser(words: Vocabulary) -> PosFormer:
    torch.manual_seed(0)
    return PosFormer(CONFIG, words)


def coverages(made: nn.Module, run: Callable[[], object]) -> list[Tensor]:
    """What the ARMs of `made` are given while `run` runs."""
    found: list[Tensor] = []
    arms = [part for part in made.modules() if type(part).__name__ == "AttentionRefinement"]
    assert arms
    hooks = [arm.register_forward_hook(lambda _, args, __: found.append(args[0])) for arm in arms]
    run()
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def test_openings_leave_no_trace(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch("1 _ { a ^ { b } }", "a b")
    seen = coverages(made, lambda: made.losses(batch))
    assert len(seen) == 4  # two refined layers of the word decoder, two of the position decoder
    inputs = both_rows(batch.inputs)
    openings = {toy_words.encode([token])[0] for token in "^_{"}
    for coverage in seen:
        rows = coverage.view(2, 2, -1, *coverage.shape[2:]).flatten(4)  # (B, 2, T, maps, N)
        assert not rows[:, :, 0].any()
        for image in range(2):
            for row in range(2):
                for place in range(inputs.shape[2] - 1):
                    added = rows[image, row, place + 1] - rows[image, row, place]
                    mass = 0.0 if int(inputs[image, row, place]) in openings else 1.0
                    assert added.sum(dim=-1).tolist() == pytest.approx([mass] * 4, abs=1e-5)
                    assert mass or float(added.abs().max()) < 1e-6


@torch.no_grad()
def test_losses_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS[:2])
    losses, logits = made.losses(batch)
    assert set(losses) == {"word", "level", "relative"}
    assert logits.shape == (4, 8, 10)
    words, levels, relatives = 0.0, 0.0, 0.0
    for number, caption in enumerate(CAPTIONS[:2]):
        forward = [Position((1,), 0, 1), *positions(caption.split()), Position((2,), 0, 2)]
        image = batch.images[number : number + 1]
        valid = written_area(image, 8)
        cells = made.adapt(made.encoder(image), valid)
        for row, places in ((number, forward), (number + 2, forward[::-1])):
            count = len(places) - 1
            for place, target in enumerate(batch.targets[row, :count].tolist()):
                words -= float(logits[row, place].log_softmax(0)[target])
            codes = [[*place.identifier, 0, 0, 0, 0][:5] for place in places[:-1]]
            hidden, _ = made.position.decoder(
                made.position.embed(torch.tensor([codes]).float()).unsqueeze(1),
                made.position.decoder.remember(cells, valid),
                contributes=made.contributes(batch.inputs[row, :count])[None, None],
            )
            for state, expected in zip(hidden[0, 0], places[1:], strict=True):
                level = made.position.heads.level(state).log_softmax(0)
                relative = made.position.heads.relative(state).log_softmax(0)
                levels -= float(level[expected.level])
                relatives -= float(relative[expected.relative])
    count = 2 * (6 + 2)
    assert float(losses["word"]) == pytest.approx(words / count / 1.5, rel=1e-4)
    assert float(losses["level"]) == pytest.approx(0.25 * levels / count / 1.5, rel=1e-4)
    assert float(losses["relative"]) == pytest.approx(0.25 * relatives / count / 1.5, rel=1e-4)


@torch.no_grad()
def test_stepwise_as_at_once(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    rows = both_rows(batch.inputs)
    whole = both_rows(made.losses(batch)[1])
    encoded = made.encode(batch.images)
    past: tuple[Tensor, ...] = ()
    for place in range(rows.shape[2]):
        stepped, past = made.step(rows[..., place], encoded, past)
        torch.testing.assert_close(stepped, whole[:, :, place], rtol=0, atol=1e-5)


@torch.no_grad()
def test_reading_needs_no_position_decoder(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(toy_words).eval(), draw_batch(*CAPTIONS)
    logits = made.losses(batch)[1]
    del made.position
    encoded = made.encode(batch.images)
    stepped, _ = made.step(batch.inputs[:4, :1], encoded, ())
    torch.testing.assert_close(stepped[:, 0], logits[:4, 0], rtol=0, atol=1e-5)
    assert made.attention_maps(batch.inputs[:4], encoded).shape == (4, 16, 4, 6)


@torch.no_grad()
def test_company_does_not_matter(toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    # Paper of more than the encoder's reach to the right and below.
    made, batch = recogniser(toy_words).eval(), draw_batch("a ^ { b }")
    own = functional.pad(batch.images, (0, 64, 0, 64))
    wide = torch.cat([functional.pad(own, (0, 48, 0, 32)), torch.ones(1, 1, 128, 160)])
    past: list[tuple[Tensor, ...]] = [(), ()]
    for token in (1, 3, 6, 8):
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
    made = PosFormer(PosFormerConfig(), vocabulary("comer"))
    training = sum(p.numel() for p in made.parameters())
    assert training == pytest.approx(9.632e6, rel=1e-3)
    position = sum(p.numel() for p in made.position.parameters())
    assert made.training_only == ("position",)
    assert training - position == pytest.approx(6.389e6, rel=1e-3)
    assert made.classes == 113
