"""PosFormer as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.common.grid import both_rows
from hmer.models.common.ink_cells import written_area
from hmer.models.posformer import PosFormer, PosFormerConfig, Position, positions

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
