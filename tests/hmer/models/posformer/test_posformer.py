"""PosFormer as a whole, and its position forest: the cases are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hmer.data.collate import UNKNOWN
from hmer.errors import LatexError
from hmer.latex.reader import tokenize
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.grid import both_rows
from hmer.models.common.ink_cells import written_area
from hmer.models.posformer import (
    LEVELS,
    LOWER,
    MAIN,
    UPPER,
    PosFormer,
    PosFormerConfig,
    Position,
    PositionEmbedding,
    PositionHeads,
    PositionTargets,
    position_targets,
    positions,
    seen_tokens,
)
from tests.hmer.models.conftest import ENCODER, BatchMaker

CONFIG = PosFormerConfig(
    encoder=ENCODER,
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


WORDS = vocabulary("comer")
IGN = UNKNOWN


def rows(*captions: str, length: int) -> torch.Tensor:
    """Targets of both directions."""
    forward, backward = [], []
    for caption in captions:
        numbers = WORDS.encode(caption.split())
        rest = [0] * (length - len(numbers) - 1)
        forward.append([*numbers, WORDS.eos, *rest])
        backward.append([*numbers[::-1], WORDS.sos, *rest])
    return torch.tensor([*forward, *backward])


def test_positions_of_the_published_example() -> None:
    found = positions(tokenize(r"\frac { a _ { 1 } } { b }"))
    assert [position.identifier for position in found] == [
        *[(3,)] * 2,
        *[(4, 3)] * 3,
        (4, 5, 3),
        (4, 3),
        *[(3,)] * 2,
        (5, 3),
        (3,),
    ]
    assert [position.level for position in found] == [0, 0, 1, 1, 1, 2, 1, 0, 0, 1, 0]
    assert [position.relative for position in found] == [3, 3, 4, 4, 4, 5, 4, 3, 3, 5, 3]


def test_positions_of_roots_and_limits() -> None:
    root = positions(tokenize(r"\sqrt [ n ] { x }"))
    assert [position.relative for position in root] == [3, 3, UPPER, 3, 3, LOWER, 3]
    limits = positions(tokenize(r"\int \limits _ { 0 } ^ { 1 } x"))
    assert [position.relative for position in limits] == [3, 3, 3, 3, 5, 3, 3, 3, 4, 3, 3]


def test_deep_positions_use_the_fourth_code() -> None:
    tokens = tokenize("a ^ { b ^ { c ^ { d _ { e ^ { f } } } } }")
    found = dict(zip(tokens, positions(tokens), strict=True))
    assert found["f"].identifier == (UPPER, UPPER, UPPER, LOWER, UPPER, MAIN)
    assert (found["f"].level, found["f"].relative) == (LEVELS - 1, LOWER)
    assert (found["e"].level, found["e"].relative) == (4, LOWER)
    assert (found["d"].level, found["d"].relative) == (3, UPPER)


def test_what_cannot_be_parsed_has_no_labels() -> None:
    with pytest.raises(LatexError):
        positions(["x", "^"])


def test_a_script_by_hand() -> None:
    found = position_targets(rows("a ^ { 2 }", length=8), WORDS)
    main, upper, none = [3, 0, 0, 0, 0], [4, 3, 0, 0, 0], [0] * 5
    sos, eos = [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]
    assert found.identifiers.tolist() == [
        [sos, main, main, main, upper, main, none, none],
        [eos, main, upper, main, main, main, none, none],
    ]
    assert found.levels.tolist() == [
        [0, 0, 0, 1, 0, 0, IGN, IGN],
        [0, 1, 0, 0, 0, 0, IGN, IGN],
    ]
    assert found.relatives.tolist() == [
        [3, 3, 3, 4, 3, 2, IGN, IGN],
        [3, 4, 3, 3, 3, 1, IGN, IGN],
    ]


def test_the_paper_s_fraction() -> None:
    found = position_targets(rows(r"\frac { a _ { 1 } } { b }", length=12), WORDS)
    # \frac { a _ { 1 } } { b } <eos>
    assert found.levels[0].tolist() == [0, 0, 1, 1, 1, 2, 1, 0, 0, 1, 0, 0]
    assert found.relatives[0].tolist() == [3, 3, 4, 4, 4, 5, 4, 3, 3, 5, 3, 2]
    assert found.identifiers[0, 6].tolist() == [4, 5, 3, 0, 0]  # of `1`
    assert found.identifiers[0, 10].tolist() == [5, 3, 0, 0, 0]  # of `b`


def test_deep_captions_are_cut_off() -> None:
    deep = "a" + " ^ { b" * 6 + " }" * 6
    found = position_targets(rows(deep, length=28), WORDS)
    assert int(found.levels[0].max()) == 4
    assert found.identifiers[0, 25 - 6].tolist() == [4, 4, 4, 4, 4]


def test_a_broken_caption_has_no_labels_and_harms_no_other() -> None:
    both = position_targets(rows("a ^ { 2", "b", length=6), WORDS)
    alone = position_targets(rows("b", length=6), WORDS)
    for row in (0, 2):
        assert not both.identifiers[row].any()
        assert set(both.levels[row].tolist()) == {IGN} == set(both.relatives[row].tolist())
    for found, single in zip(both, alone, strict=True):
        assert torch.equal(found[1::2], single)


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
    levels = torch.tensor([[0, 4, UNKNOWN], [2, UNKNOWN, UNKNOWN]])
    relatives = torch.tensor([[3, 5, UNKNOWN], [2, UNKNOWN, UNKNOWN]])
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
    nothing = torch.full((1, 2), UNKNOWN)
    losses = heads.losses(
        torch.randn(1, 2, 8, requires_grad=True),
        PositionTargets(torch.zeros(1, 2, 5), nothing, nothing),
    )
    assert [float(loss.detach()) for loss in losses] == [0.0, 0.0]
    sum(losses).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and not p.grad.any() for p in heads.parameters())
