"""Validation without decoding, against decoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hmer.data.batches import BatchConfig, fixed_plans
from hmer.data.collate import Batch
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.supervised import SupervisedMaker
from hmer.decoding.beam import Direction, search_directions
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Encoded, Recogniser
from hmer.models.common.attention import AttentionConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.mask_match.decoder import DecoderConfig
from hmer.models.step import MemoryStep
from hmer.training.finetune import teacher_forced

pytestmark = pytest.mark.medium


WORDS = vocabulary("wap")
RENDER = RenderConfig(unit=10)
BATCH = BatchConfig(max_count=4, buckets=3)


def maker(expressions: Expressions) -> SupervisedMaker:
    return SupervisedMaker(expressions, WORDS, RENDER, None, 8)


def greedy(model: Recogniser, expressions: Expressions, length: int) -> dict[int, list[str]]:
    """What beam search with a beam of one writes for each expression."""
    written: dict[int, list[str]] = {}
    for _, plan in fixed_plans(expressions.sizes, BATCH, 8):
        batch = maker(expressions)(plan, np.random.default_rng(0))
        with torch.inference_mode():
            encoded = model.encode(batch.images)
            forth = Direction(Vocabulary.sos, Vocabulary.eos, (Vocabulary.pad, Vocabulary.sos))
            step = MemoryStep(model.step, encoded)
            found = search_directions(step, len(batch.images), [forth], beam=1, max_length=length)
        for sample, (hypotheses,) in zip(plan.samples, found, strict=True):
            if len(hypotheses[0].tokens) < length:
                written[int(sample)] = WORDS.decode(hypotheses[0].tokens)
    return written


def tiny() -> MaskMatch:
    torch.manual_seed(0)
    config = MaskMatchConfig(
        encoder=CompactConfig(width=16, blocks=(1, 1, 1)),
        attention=AttentionConfig(heads=2, hidden=8),
        decoder=DecoderConfig(layers=1, width=32, heads=2, feedforward=32, dropout=0.0),
    )
    return MaskMatch(config, len(WORDS))


def test_counts_what_greedy_decoding_gets_right(small_dataset: Path) -> None:
    """On a model that has learnt some captions, and writes wrong ones for others."""
    truth = load_expressions(small_dataset / "train.parquet").head(11)
    truth = replace(truth, tokens=[["x", "^", "{", "2", "}"], ["1"], ["x"]] * 3 + [["1"], ["x"]])
    model = tiny()
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(15):
        for _, plan in fixed_plans(truth.sizes, BATCH, 8):
            losses, _ = model.losses(maker(truth)(plan, np.random.default_rng(0)))
            optimiser.zero_grad()
            losses["word"].backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    model.eval()
    others = list(truth.tokens)
    others[0], others[1], others[4] = ["x", "^", "{", "1", "}"], ["1", "1"], ["x"]
    truth = replace(truth, tokens=others)
    written = greedy(model, truth, 12)
    right = sum(written.get(n) == truth.tokens[n] for n in range(11))
    assert 0 < right < 11, "nothing to tell apart: change the training"
    new = np.arange(11) < 4
    measured = teacher_forced(model, maker(truth), BATCH, "32-true", "dev", new)
    assert measured["dev_exprate_forced"] == pytest.approx(100 * right / 11)
    right_of_new = sum(written.get(n) == truth.tokens[n] for n in range(4))
    assert measured["dev_exprate_new"] == pytest.approx(100 * right_of_new / 4)


def test_a_model_with_a_taste_for_padding(small_dataset: Path) -> None:
    """What the search never writes does not count as a mistake."""
    truth = load_expressions(small_dataset / "val.parquet")
    model = tiny().eval()
    with torch.no_grad():
        model.decoder.head.bias[Vocabulary.eos] += 1.5
    plain = greedy(model, truth, 400)
    assert plain, "no caption comes to an end: change the bias"
    truth = replace(truth, tokens=[plain.get(n, ["x"]) for n in range(len(truth))])
    measured = [teacher_forced(model, maker(truth), BATCH, "32-true")]
    with torch.no_grad():
        model.decoder.head.bias[[Vocabulary.pad, Vocabulary.sos]] += 50
    measured.append(teacher_forced(model, maker(truth), BATCH, "32-true"))
    assert greedy(model, truth, 400) == plain
    wanted = 100 * sum(plain.get(n) == truth.tokens[n] for n in range(len(truth))) / len(truth)
    assert wanted > 0
    assert [m["val_exprate_forced"] for m in measured] == pytest.approx([wanted] * 2)


class Counter(Recogniser):
    """Knows nothing; remembers the images it was shown."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))
        self.shown: list[Tensor] = []
        self.tokens = 0

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        self.shown += list(batch.images)
        self.tokens += int((batch.targets != 0).sum())
        return {}, torch.zeros(*batch.targets.shape, len(WORDS))

    def encode(self, images: Tensor) -> Encoded:
        raise NotImplementedError

    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        raise NotImplementedError


def test_every_sample_counts_once(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    model = Counter()
    measured = teacher_forced(model, maker(expressions), BATCH, "32-true")
    assert len(model.shown) == 24
    drawn = {image[0, :, :].numpy().tobytes().strip(b"\0") for image in model.shown}
    assert len(drawn) == 24
    assert model.tokens == 2 * sum(len(tokens) + 1 for tokens in expressions.tokens)
    assert measured["val_loss"] == pytest.approx(np.log(len(WORDS)), rel=1e-5)
    assert measured["val_exprate_forced"] == 0
