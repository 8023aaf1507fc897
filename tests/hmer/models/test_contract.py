"""What holds for every recogniser of the registry."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.decoding.bidirectional import DecodingConfig
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Recogniser
from hmer.models.checkpoint import save_module
from hmer.models.common.grid import both_rows
from hmer.models.registry import RECOGNISERS, build_recogniser, count_parameters, recogniser_entry
from hmer.recognizer import Recognizer
from tests.hmer.models.conftest import CAPTIONS, BatchMaker

ENCODER = {"name": "compact", "width": 8, "blocks": [1, 1, 1]}
TRANSFORMER = {"layers": 2, "width": 16, "heads": 2, "feedforward": 16, "dropout": 0.0}
DECODERS = {
    "attention-coverage": {
        "width": 16, "attention": 16, "inner": 16, "kernel": 5, "dropout": 0.0,
    }
}  # fmt: skip

pytestmark = pytest.mark.parametrize("name", RECOGNISERS)


def made(name: str, words: Vocabulary, seed: int = 0) -> Recogniser:
    """A small one as training might leave it: statistics, and no weights that are all zero."""
    torch.manual_seed(seed)
    config = {"encoder": ENCODER, "decoder": DECODERS.get(name, TRANSFORMER)}
    model = build_recogniser(name, config, words)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(std=0.2)
                part.running_var.uniform_(0.5, 2.0)
        for weights in model.parameters():
            if weights.ndim > 1 and not weights.any():
                weights.normal_(std=0.2)
    return model.eval()


@torch.no_grad()
def test_steps_as_taught(name: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    model, batch = made(name, toy_words), draw_batch(*CAPTIONS)
    wanted = both_rows(model.losses(batch)[1])
    rows = both_rows(batch.inputs)
    encoded = model.encode(batch.images)
    past: tuple[Tensor, ...] = ()
    for place in range(rows.shape[2]):
        stepped, past = model.step(rows[..., place], encoded, past)
        assert all(cache.shape[:2] == (4, 2) for cache in past)
        torch.testing.assert_close(stepped, wanted[:, :, place], rtol=0, atol=1e-5)


@torch.no_grad()
def test_company_does_not_matter(name: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    """Neither other images of the batch nor paper of more than the encoder's reach."""
    model, batch = made(name, toy_words), draw_batch("a")
    own = functional.pad(batch.images, (0, 64, 0, 64))
    wide = torch.cat([functional.pad(own, (0, 48, 0, 32)), torch.ones(1, 1, 128, 160)])
    alone, together = model.encode(own), model.encode(wide)
    tokens = torch.tensor([[1, 5, 3], [1, 4, 4]])
    past: list[tuple[Tensor, ...]] = [(), ()]
    for place in range(3):
        one, past[0] = model.step(tokens[:1, place : place + 1], alone, past[0])
        both, past[1] = model.step(tokens[:, place : place + 1], together, past[1])
        torch.testing.assert_close(both[:1], one, rtol=1e-4, atol=1e-5)
    maps = model.attention_maps(tokens, together)
    torch.testing.assert_close(
        maps[:1, :, :12, :14], model.attention_maps(tokens[:1], alone), rtol=1e-4, atol=1e-5
    )
    assert maps.shape == (2, 3, 16, 20)
    assert maps.sum(dim=(2, 3)).flatten().tolist() == pytest.approx([1.0] * 6)
    assert not maps[0, :, 4:].any() and not maps[0, :, :, 6:].any()


def test_learns_with_every_part(name: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    model, batch = made(name, toy_words).train(), draw_batch(*CAPTIONS)
    batch = dataclasses.replace(batch, symbols=torch.full_like(batch.symbols, 5))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    values: list[float] = []
    for _ in range(10):
        total = torch.stack(list(model.losses(batch)[0].values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        if not values:
            for part, parameter in model.named_parameters():
                assert parameter.grad is not None, part
                assert torch.isfinite(parameter.grad).all(), part
                if part.endswith("weight"):  # biases before a softmax shift nothing
                    assert parameter.grad.abs().max() > 0, part
        optimiser.step()
        values.append(total.item())
    assert values[-1] < 0.8 * values[0]


def test_blank_paper_gives_finite_numbers(
    name: str, toy_words: Vocabulary, draw_batch: BatchMaker
) -> None:
    model, batch = made(name, toy_words).train(), draw_batch(*CAPTIONS)
    images = batch.images.clone()
    images[0] = 0.0
    losses, logits = model.losses(dataclasses.replace(batch, images=images))
    assert torch.isfinite(logits).all()
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    for part, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), part


@torch.no_grad()
def test_weights_for_reading(name: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    """They read alike, and each form loads the other's weights."""
    whole = made(name, toy_words)
    small = whole.for_reading()
    assert set(whole.training_only) <= {part for part, _ in whole.named_children()}
    kept = set(small.state_dict())
    assert {k for k in whole.state_dict() if k.split(".")[0] not in whole.training_only} == kept
    images, tokens = draw_batch("a").images, torch.tensor([[1]])
    wanted = whole.step(tokens, whole.encode(images), ())[0]
    for state in (small.state_dict(), whole.state_dict()):
        for other in (made(name, toy_words, 1), made(name, toy_words, 2).for_reading()):
            other.load_state_dict(state)
            assert torch.equal(other.step(tokens, other.encode(images), ())[0], wanted)
            assert set(other.state_dict()) <= set(whole.state_dict())
    broken = dict(small.state_dict())
    broken.pop(next(key for key in broken if key.startswith("encoder.")))
    with pytest.raises(RuntimeError, match="Missing key"):
        made(name, toy_words, 1).load_state_dict(broken)


def test_reading_needs_all_but_what_is_for_training_only(
    name: str, toy_words: Vocabulary, draw_batch: BatchMaker
) -> None:
    """Gradients are zero where the words that are read do not depend on a part."""
    model = made(name, toy_words)
    _, logits = model.losses(draw_batch("a ^ { 1 }"))
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    used = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().any()}
    sizes = {n: p.numel() for n, p in model.named_parameters()}
    unused = {n for n in sizes if n.split(".")[0] in model.training_only}
    assert not used & unused
    assert {n.split(".")[0] for n in sizes} - {n.split(".")[0] for n in used} == set(
        model.training_only
    )
    assert count_parameters(model) == (
        sum(sizes.values()),
        sum(size for n, size in sizes.items() if n not in unused),
    )


def test_is_saved_loaded_and_reads(name: str, tmp_path: Path) -> None:
    words = vocabulary("wap")
    model = made(name, words)
    about: dict[str, Any] = {
        "kind": "recogniser",
        "name": name,
        "config": model.config.model_dump(mode="json"),
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(words.to_json()),
    }
    save_module(model, tmp_path / "model.safetensors", about)
    recognizer = Recognizer.load(tmp_path)
    assert type(recognizer.model) is type(model) and not recognizer.model.training
    image = np.zeros((24, 40), np.uint8)
    image[4:20, 8:30] = 255
    decoding = DecodingConfig(beam=2, max_length=4)
    blank, found = recognizer.read([np.zeros((20, 30), np.uint8), image], decoding, attention=True)
    assert (blank.tokens, blank.alternatives) == ((), ())
    assert 0 <= found.confidence <= 1 and found.alternatives
    assert found.attention is not None and np.isfinite(found.attention).all()
    assert found.attention.shape == (len(found.tokens) + 1, *(math.ceil(s / 8) for s in (24, 40)))


def test_its_defaults_are_whole(name: str) -> None:
    entry = recogniser_entry(name)
    assert entry.config.model_validate(entry.config().model_dump(mode="json")) == entry.config()
    with torch.device("meta"):
        model = entry.build(entry.config(), vocabulary(entry.dialect))
    assert (type(model).__doc__ or "").strip().splitlines()[0].endswith(".")
