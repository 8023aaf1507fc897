"""The search against one that has no caches, no batch and no shared memory, on every recogniser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from hmer.data.collate import Batch, both_directions
from hmer.decoding.bidirectional import DecodingConfig, Reading, search
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Recogniser
from hmer.models.linear import use_fast_linear
from hmer.models.registry import RECOGNISERS, build_recogniser, recogniser_entry
from hmer.models.step import MemoryStep

pytestmark = pytest.mark.medium

LENGTH, BEAM = 5, 3
ENCODER = {"name": "compact", "width": 8, "blocks": [1, 1, 1]}
DECODER = {"layers": 3, "width": 16, "heads": 2, "feedforward": 16}
SMALL: dict[str, dict[str, Any]] = {
    "mask-match": {"attention": {"heads": 2, "hidden": 8}},
    "attention-coverage": {"decoder": {"width": 16, "attention": 16, "inner": 8, "kernel": 3}},
}


@cache
def made(name: str) -> tuple[Recogniser, Vocabulary]:
    """A small recogniser with opinions: fresh weights with noise, and a sharper last layer."""
    torch.manual_seed(5)
    words = vocabulary(recogniser_entry(name).dialect)
    config = {"encoder": ENCODER, "decoder": DECODER, **SMALL.get(name, {})}
    model = build_recogniser(name, config, words).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module.out_features >= len(words):
                module.weight.mul_(6.0)
                assert module.bias is not None
                module.bias[[words.sos, words.eos]] += 2.0
    return model, words


@cache
def images() -> Tensor:
    """Two drawings of different width on one canvas."""
    generator = torch.Generator().manual_seed(1)
    found = torch.zeros(2, 1, 32, 64)
    for image, width in zip(found, (20, 60), strict=True):
        for _ in range(5):
            top, left = (int(torch.randint(n, (), generator=generator)) for n in (28, width - 8))
            image[:, top : top + 3, left : left + 9] = 1.0
    return found


class Slow:
    """Log-probabilities by the teacher-forced pass over a whole prefix, the encoder included."""

    def __init__(self, model: Recogniser, words: Vocabulary) -> None:
        self.model, self.words = model, words
        self.known: dict[tuple[int, ...], list[float]] = {}

    def next(self, row: int, prefix: tuple[int, ...]) -> list[float]:
        """After a prefix with its start token."""
        if (row, *prefix) not in self.known:
            image = images()[row : row + 1]
            backwards = prefix[0] == self.words.eos
            written = list(prefix[1:])
            inputs, targets = both_directions([written[::-1] if backwards else written])
            cells = torch.full((1, *(side // self.model.stride for side in image.shape[2:])), -100)
            batch = Batch(image, inputs, targets, cells, cells)
            said = (
                self.model.losses(batch)[1][int(backwards), len(written)].double().log_softmax(-1)
            )
            self.known[row, *prefix] = said.tolist()
        return self.known[row, *prefix]

    def total(self, row: int, whole: Sequence[int]) -> float:
        """Of a sequence with its start and stop token."""
        return sum(self.next(row, tuple(whole[:i]))[whole[i]] for i in range(1, len(whole)))

    def beam(self, row: int, start: int, stop: int) -> list[tuple[int, ...]]:
        """The sequences that the documented search finds."""
        alive: list[tuple[tuple[int, ...], float]] = [((start,), 0.0)]
        ended: list[tuple[tuple[int, ...], float]] = []
        for size in range(LENGTH + 1):
            candidates = sorted(
                (
                    (score + more, tokens, token)
                    for tokens, score in alive
                    for token, more in enumerate(self.next(row, tokens))
                    if token not in (self.words.pad, start)
                ),
                key=lambda c: -c[0],
            )
            ended += [(t, s / (size + 1)) for s, t, token in candidates[:BEAM] if token == stop]
            going = [c for c in candidates[: 2 * BEAM] if c[2] != stop]
            ranks = sorted((rank for _, rank in ended), reverse=True)
            if len(ended) >= BEAM and ranks[BEAM - 1] >= going[0][0] / (size + 1):
                break
            if size == LENGTH:
                whole = {tokens for tokens, _ in ended}
                ended += [
                    (t, (s + self.next(row, t)[stop]) / (LENGTH + 1))
                    for t, s in alive
                    if t not in whole
                ]
            alive = [((*tokens, token), score) for score, tokens, token in going[:BEAM]]
        ended.sort(key=lambda found: -found[1])
        return [tokens[1:] for tokens, _ in ended[:BEAM]]

    def readings(self, row: int) -> list[tuple[tuple[int, ...], float, float]]:
        """Sequence, score and confidence of all that either direction finds.

        The best by score comes first, then the others by confidence.
        """
        sos, eos = self.words.sos, self.words.eos
        both = [*self.beam(row, sos, eos), *(t[::-1] for t in self.beam(row, eos, sos))]
        found = []
        for tokens in dict.fromkeys(both):
            total = self.total(row, (sos, *tokens, eos)) + self.total(
                row, (eos, *tokens[::-1], sos)
            )
            found.append((tokens, total / (len(tokens) + 1), math.exp(total / 2)))
        found.sort(key=lambda reading: -reading[1])
        return [found[0], *sorted(found[1:], key=lambda reading: -reading[2])]


def fast(model: Recogniser, words: Vocabulary, **options: Any) -> list[list[Reading]]:
    config = DecodingConfig(alpha=1.0, beam=BEAM, max_length=LENGTH, **options)
    encoded = model.encode(images())
    return search(
        MemoryStep(model.step, encoded), len(images()), config,
        sos=words.sos, eos=words.eos, pad=words.pad,
    )  # fmt: skip


@pytest.mark.parametrize("name", RECOGNISERS)
@torch.no_grad()
def test_the_n_best_are_those_of_the_slow_search(name: str) -> None:
    model, words = made(name)
    slow = Slow(model, words)
    found = fast(model, words)
    for row, readings in enumerate(found):
        expected = slow.readings(row)
        assert [r.tokens for r in readings] == [tokens for tokens, _, _ in expected]
        assert len(readings) > BEAM
        for reading, (_, score, confidence) in zip(readings, expected, strict=True):
            assert reading.score == pytest.approx(score, abs=1e-5)
            assert reading.confidence == pytest.approx(confidence, rel=1e-4)


@pytest.mark.parametrize("name", RECOGNISERS)
@torch.no_grad()
def test_fast_layers_change_nothing(name: str) -> None:
    model, words = made(name)
    before = fast(model, words)
    state = model.state_dict()
    config = {"encoder": ENCODER, "decoder": DECODER, **SMALL.get(name, {})}
    other = build_recogniser(name, config, words).eval()
    other.load_state_dict(state)
    use_fast_linear(other)
    for one, two in zip(before, fast(other, words), strict=True):
        assert [r.tokens for r in one] == [r.tokens for r in two]
        assert [r.score for r in one] == pytest.approx([r.score for r in two], abs=1e-5)
