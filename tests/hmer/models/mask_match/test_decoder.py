"""The transformer decoder against a slow one: at once, step by step, and where it looks.

Guided attention against a slow double loop and a hand-worked case.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from hmer.data.collate import UNKNOWN, both_directions
from hmer.models.mask_match.decoder import (
    CrossMemory,
    DecoderConfig,
    DecoderLayer,
    TransformerDecoder,
    alignment_loss,
)

WIDTH, HEADS, CLASSES = 16, 2, 7
CHANNELS = 5
CONFIG = DecoderConfig(
    layers=2, width=WIDTH, heads=HEADS, feedforward=24, dropout=0.1, coverage=CHANNELS
)


def decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    made = TransformerDecoder(CONFIG, CLASSES)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
            elif "coverage" in name:  # so that it moves the attention by much
                parameter.normal_(std=1.0)
    return made.eval()


def grid(seed: int = 0, cells: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Content, code and bias of two images; the second has fewer cells."""
    generator = torch.Generator().manual_seed(seed)
    content = torch.randn(2, cells, WIDTH, generator=generator)
    code = torch.randn(2, cells, WIDTH, generator=generator)
    bias = torch.randn(2, cells, generator=generator)
    bias[1, cells // 2 :] = -math.inf
    return content, code, bias


def some_tokens(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(CLASSES, (batch, length), generator=torch.Generator().manual_seed(seed))


def mix(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor, lower: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One query (width,) over n keys and values, all heads.

    `lower` (heads, n) is taken from the logits. The answer and the weights (heads, n).
    """
    size, answers, looks = WIDTH // HEADS, [], []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        raw = []
        for cell, (key, b) in enumerate(zip(keys, bias, strict=True)):
            logit = float(query[part] @ key[part]) / math.sqrt(size) + float(b)
            raw.append(math.exp(logit - (0.0 if lower is None else float(lower[head, cell]))))
        weights = torch.tensor(raw) / sum(raw)
        answers.append((weights[:, None] * values[:, part]).sum(0))
        looks.append(weights)
    return torch.cat(answers), torch.stack(looks)


def lowered(layer: DecoderLayer, covered: Tensor) -> Tensor:
    """What the logits (heads, n) are lowered by, cell by cell, after a coverage (heads, n)."""
    found, cells = layer.coverage, []
    for cell in range(covered.shape[1]):
        hidden = found.hidden.weight @ (4.0 * covered[:, cell]) + found.hidden.bias
        cells.append(found.project.weight @ hidden.clamp(min=0.0))
    return torch.stack(cells, dim=1)


def slow(
    made: TransformerDecoder, tokens: list[int], content: Tensor, code: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (T, classes) and the last layer's cross-attention (T, N) of one sequence."""
    rows = []
    for position, token in enumerate(tokens):
        x = made.embed.weight[token] * math.sqrt(WIDTH)
        for pair in range(WIDTH // 2):
            angle = position * 10_000 ** (-2 * pair / WIDTH)
            x = x + torch.eye(WIDTH)[2 * pair] * math.sin(angle)
            x = x + torch.eye(WIDTH)[2 * pair + 1] * math.cos(angle)
        rows.append(x)
    looks: list[Tensor] = []
    for layer in cast(list[DecoderLayer], list(made.layers)):
        query, key, value = (
            torch.stack([layer.self_project(layer.norm_self(x))[i * WIDTH : (i + 1) * WIDTH]
                         for x in rows])
            for i in range(3)
        )  # fmt: skip
        far = layer.cross_project(content + code)[:, :WIDTH]
        seen = layer.cross_project(content)[:, WIDTH:]
        looks, following = [], []
        covered = torch.zeros(HEADS, len(content))
        for t, x in enumerate(rows):
            said, _ = mix(query[t], key[: t + 1], value[: t + 1], torch.zeros(t + 1))
            x = x + layer.self_merge(said)
            question = layer.cross_query(layer.norm_cross(x))
            _, first = mix(question, far, seen, bias)
            answer, look = mix(question, far, seen, bias, lowered(layer, covered))
            covered = covered + first
            looks.append(look.mean(dim=0))
            x = x + layer.cross_merge(answer)
            hidden = layer.forward_in(layer.norm_forward(x))
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
            following.append(x + layer.forward_out(hidden))
        rows = following
    return torch.stack([made.head(made.norm(x)) for x in rows]), torch.stack(looks)


@torch.no_grad()
def test_slow_decoder_agrees() -> None:
    made, (content, code, bias), tokens = decoder(), grid(), some_tokens(2, 5)
    logits, looks = made(tokens, made.remember(content, code, bias))
    assert looks.shape == (2, 5, 6)
    assert looks.sum(dim=2).flatten().tolist() == pytest.approx([1.0] * 10)
    assert not looks[1, :, 3:].any()
    for b in range(2):
        expected, seen = slow(made, tokens[b].tolist(), content[b], code[b], bias[b])
        torch.testing.assert_close(logits[b], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(looks[b], seen, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_step_by_step_is_all_at_once() -> None:
    made = decoder()
    memory = made.remember(*grid())
    tokens = some_tokens(2 * 3, 6).view(2, 3, 6)
    past: tuple[Tensor, ...] = ()
    stepped = []
    for position in range(6):
        logits, past = made.step(tokens[..., position], memory, past)
        assert logits.shape == (2, 3, CLASSES)
        written, covered = [(2, 3, 2, position + 1, WIDTH)] * 2, [(2, 3, HEADS, 6)] * 2
        assert [cache.shape for cache in past] == written + covered
        stepped.append(logits)
    for hypothesis in range(3):
        forced, _ = made(tokens[:, hypothesis], memory)
        found = torch.stack([logits[:, hypothesis] for logits in stepped], dim=1)
        torch.testing.assert_close(found, forced, rtol=0, atol=1e-5)


@torch.no_grad()
def test_coverage_is_what_has_been_read() -> None:
    """Before the first token nothing has; afterwards the same token finds another page."""
    plain, made = decoder(), decoder()
    for layer in cast(list[DecoderLayer], [*plain.layers, *made.layers]):
        layer.coverage.hidden.bias.zero_()
    for layer in cast(list[DecoderLayer], list(plain.layers)):
        layer.coverage.project.weight.zero_()
    tokens, memory = torch.full((2, 3), 4), made.remember(*grid())
    with_coverage, without = made(tokens, memory)[0], plain(tokens, memory)[0]
    torch.testing.assert_close(with_coverage[:, 0], without[:, 0], rtol=0, atol=1e-5)
    assert not torch.allclose(with_coverage[:, 1:], without[:, 1:], rtol=0, atol=1e-2)


@torch.no_grad()
def test_the_future_is_not_seen() -> None:
    made, memory = decoder(), decoder().remember(*grid())
    tokens = some_tokens(2, 6)
    changed = tokens.clone()
    changed[:, 3] = (tokens[:, 3] + 1) % CLASSES
    for one, other in zip(made(tokens, memory), made(changed, memory), strict=True):
        torch.testing.assert_close(one[:, :3], other[:, :3])
        for position in range(3, 6):
            assert not torch.allclose(one[:, position], other[:, position])


@torch.no_grad()
def test_an_image_sees_its_own_cells_only() -> None:
    made, tokens = decoder(), some_tokens(2, 4)
    content, code, bias = grid()
    before, _ = made(tokens, made.remember(content, code, bias))
    content[0] += 1.0
    code[0] *= 2.0
    content[1, 3:] = 9.0  # shut out by the bias
    memory = made.remember(content, code, bias)
    after, _ = made(tokens, memory)
    torch.testing.assert_close(after[1], before[1])
    assert not torch.allclose(after[0], before[0])
    stepped, _ = made.step(tokens[:, :1], memory, ())
    torch.testing.assert_close(stepped[1, 0], before[1, 0])


@torch.no_grad()
def test_the_code_moves_attention_but_is_not_content() -> None:
    made, tokens = decoder(), some_tokens(1, 3)
    content, code, bias = (x[:1, :1] for x in grid())
    one, other = (made.remember(content, c, bias) for c in (code, code + 5))
    # With a single cell there is no choice of where to look: the code must not show.
    torch.testing.assert_close(made(tokens, one)[0], made(tokens, other)[0])


def test_dropout_in_training_only() -> None:
    made, memory = decoder(), decoder().remember(*grid())
    tokens = some_tokens(2, 4)
    assert torch.equal(made(tokens, memory)[0], made(tokens, memory)[0])
    made.train()
    assert not torch.equal(made(tokens, memory)[0], made(tokens, memory)[0])


def test_gradients_reach_every_weight() -> None:
    made = decoder()
    content, code, bias = grid()
    content.requires_grad_()
    memory: CrossMemory = made.remember(content, code, bias)
    logits = made(some_tokens(2, 4), memory)[0].flatten(0, 1)
    loss = functional.cross_entropy(logits, torch.ones(8).long())
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name
    assert content.grad is not None and not content.grad[1, 3:].any()


@pytest.mark.parametrize("wrong", [{"width": 18, "heads": 2}, {"width": 20, "heads": 3}])
def test_config_refuses(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        DecoderConfig.model_validate(wrong)


def slow_alignment(attention: Tensor, places: Tensor, captions: list[list[int]]) -> float:
    """Caption by caption, direction by direction, token by token."""
    terms = []
    for row, caption in enumerate(captions):
        for backwards in (False, True):
            for step in range(len(caption)):
                place = len(caption) - 1 - step if backwards else step
                cells = [m for m, at in enumerate(places[row].tolist()) if at == place]
                if cells:
                    looked = attention[row + backwards * len(captions), step, cells]
                    terms.append(-math.log(float(looked.sum())))
    return float(np.mean(terms))


def test_like_the_double_loop() -> None:
    generator = torch.Generator().manual_seed(5)
    captions = [[7, 8, 9], [5], [4, 4, 6, 7, 8, 9, 5, 3, 4]]
    places = torch.randint(-1, 9, (3, 20), generator=generator)
    places[places < 0] = UNKNOWN
    _, targets = both_directions(captions)
    logits = torch.randn(6, targets.shape[1], 20, generator=generator)
    attention = logits.softmax(dim=-1)
    found = alignment_loss(attention, places, targets)
    assert float(found) == pytest.approx(slow_alignment(attention, places, captions), rel=1e-5)


def test_by_hand() -> None:
    # Two tokens, three cells: the first token in cell 2, the second unknown.
    _, targets = both_directions([[7, 8]])
    places = torch.tensor([[UNKNOWN, UNKNOWN, 0]])
    attention = torch.zeros(2, targets.shape[1], 3)
    attention[0, 0] = torch.tensor([0.25, 0.25, 0.5])  # forwards, it is written first
    attention[1, 1] = torch.tensor([0.0, 0.75, 0.25])  # backwards, last
    wanted = -(math.log(0.5) + math.log(0.25)) / 2
    assert float(alignment_loss(attention, places, targets)) == pytest.approx(wanted)


def test_nothing_known_costs_nothing_and_has_a_gradient() -> None:
    _, targets = both_directions([[7, 8]])
    attention = torch.full((2, targets.shape[1], 3), 1 / 3, requires_grad=True)
    loss = alignment_loss(attention, torch.full((1, 3), UNKNOWN), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert attention.grad is not None and not attention.grad.any()


def test_a_share_of_zero_stays_finite() -> None:
    _, targets = both_directions([[7]])
    attention = torch.zeros(2, targets.shape[1], 2)
    attention[..., 0] = 1.0
    loss = alignment_loss(attention, torch.tensor([[UNKNOWN, 0]]), targets)
    assert math.isfinite(float(loss)) and float(loss) > 10
