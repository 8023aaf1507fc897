"""BTTR, CoMER and what they share, as wholes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.bttr import BTTR, BTTRAdapter, BTTRConfig
from hmer.models.comer import CoMER, CoMERAdapter, CoMERConfig
from hmer.models.decoders.refined import RefinedDecoderConfig
from hmer.models.encoders.compact import CompactConfig
from hmer.models.encoders.densenet import DenseNetConfig
from hmer.models.grid import GridRecogniser, both_rows, stack_rows
from hmer.models.interface import Batch
from hmer.models.positions import image_code

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


@KINDS
@torch.no_grad()
def test_steps_as_taught(kind: str, toy_words: Vocabulary, draw_batch: BatchMaker) -> None:
    made, batch = recogniser(kind, toy_words).eval(), draw_batch(*CAPTIONS)
    _, logits = made.losses(batch)
    encoded = made.encode(batch.images)
    rows = both_rows(batch.inputs)
    wanted = both_rows(logits)
    past: tuple[Tensor, ...] = ()
    for position in range(rows.shape[2]):
        stepped, past = made.step(rows[..., position], encoded, past)
        torch.testing.assert_close(stepped, wanted[:, :, position], rtol=0, atol=1e-5)


@KINDS
def test_gradients_reach_every_part(
    kind: str, toy_words: Vocabulary, draw_batch: BatchMaker
) -> None:
    made = recogniser(kind, toy_words).train()
    made.losses(draw_batch(*CAPTIONS))[0]["word"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name.endswith("weight"):
            assert parameter.grad.abs().max() > 0, name


@KINDS
@torch.no_grad()
def test_company_does_not_matter(kind: str, toy_words: Vocabulary) -> None:
    # Paper around the ink, wider than the encoder sees.
    made = recogniser(kind, toy_words).eval()
    image = torch.zeros(1, 1, 72, 72)
    image[..., 10:12, 4:30] = 1.0
    image[..., 4:30, 20:22] = 1.0
    together = torch.cat([functional.pad(image, (0, 56, 0, 24)), torch.ones(1, 1, 96, 128)])
    alone, batched = made.encode(image), made.encode(together)
    tokens = torch.tensor([[1, 4, 6], [1, 3, 3]])
    past: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] = ((), ())
    for position in range(3):
        one, first = made.step(tokens[:1, position : position + 1], alone, past[0])
        other, second = made.step(tokens[:, position : position + 1], batched, past[1])
        past = (first, second)
        torch.testing.assert_close(other[:1], one, rtol=1e-4, atol=1e-5)
    maps = made.attention_maps(tokens, batched)
    assert maps.shape == (2, 3, 12, 16)
    torch.testing.assert_close(
        maps[:1, :, :9, :9], made.attention_maps(tokens[:1], alone), rtol=1e-4, atol=1e-5
    )
    assert not maps[0, :, 4:].any() and not maps[0, :, :, 4:].any()


@KINDS
def test_blank_paper_gives_finite_numbers(
    kind: str, toy_words: Vocabulary, draw_batch: BatchMaker
) -> None:
    made, batch = recogniser(kind, toy_words).train(), draw_batch(*CAPTIONS)
    images = batch.images.clone()
    images[0] = 0.0
    losses, logits = made.losses(Batch(images, batch.inputs, batch.targets, batch.symbols))
    assert torch.isfinite(logits).all()
    losses["word"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


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


@pytest.mark.parametrize(("kind", "weights"), [(BTTR, 6_375_425), (CoMER, 6_389_041)])
def test_the_fields_size(kind: type[BTTR] | type[CoMER], weights: int) -> None:
    config = {BTTR: BTTRConfig, CoMER: CoMERConfig}[kind]()
    with torch.device("meta"):
        made = kind(config, vocabulary("comer"))
    assert sum(p.numel() for p in made.parameters()) == weights
    assert made.classes == 113
