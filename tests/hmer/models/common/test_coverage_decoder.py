"""The refined decoder against a reference that writes one token after the other, by loops.

Its attention refinement also against loops over cells, and against gathered statistics.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.common.coverage_decoder import (
    ArmConfig,
    AttentionRefinement,
    GridMemory,
    MaskedBatchNorm,
    RefinedDecoder,
    RefinedDecoderConfig,
    WordEmbedding,
)

Array = NDArray[np.float64]
WIDTH, HEADS = 16, 2
GRID = (3, 4)
CONFIG = RefinedDecoderConfig(layers=3, width=WIDTH, heads=HEADS, feedforward=16, dropout=0.3)
ARMS = {
    "fusion": ArmConfig(channels=3),
    "self": ArmConfig(cross_coverage=False, channels=3),
    "cross": ArmConfig(self_coverage=False, channels=3),
    "none": None,
}


def decoder(kind: str = "fusion", seed: int = 0) -> RefinedDecoder:
    """With biases, statistics and a refinement that count."""
    torch.manual_seed(seed)
    made = RefinedDecoder(CONFIG, ARMS[kind])
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.3)
        for layer in made.layers:
            layer.cross_query.weight.mul_(2.0)  # type: ignore[operator,union-attr]
        if made.arm is not None:
            made.arm.norm.running_mean.normal_(std=0.2)
            made.arm.norm.running_var.uniform_(0.1, 0.3)
    return made.eval()


def features(made: RefinedDecoder, seed: int = 1) -> tuple[Tensor, Tensor, GridMemory]:
    """Two images of 3 x 4 cells, the second with padding: features (B, N, width), valid."""
    generator = torch.Generator().manual_seed(seed)
    content = torch.randn(2, GRID[0] * GRID[1], WIDTH, generator=generator)
    valid = torch.ones(2, *GRID, dtype=torch.bool)
    valid[1, 2:] = valid[1, :, 3:] = False
    return content, valid, made.remember(content, valid)


def tokens(rows: int = 2, length: int = 5, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, length, WIDTH, generator=generator)


class Slow:
    """The decoder for one row of one image: one token at a time, one head at a time."""

    def __init__(self, made: RefinedDecoder, content: Array, valid: NDArray[np.bool_]) -> None:
        self.weights = {k: v.double().numpy() for k, v in made.state_dict().items()}
        self.arm = made.arm
        self.content, self.valid = content, valid
        self.said: list[list[tuple[Array, Array]]] = [[] for _ in range(CONFIG.layers)]
        self.looked: list[list[Array]] = [[] for _ in range(CONFIG.layers)]

    def linear(self, name: str, x: Array) -> Array:
        out: Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return out

    def norm(self, name: str, x: Array) -> Array:
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        out: Array = x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return out

    def next(self, x: Array, counts: bool = True) -> Array:
        """Hidden state after one more input (width,)."""
        below: Array | None = None
        for layer in range(CONFIG.layers):
            x, below = self.layer(layer, x, below, counts)
        return x

    def layer(self, index: int, x: Array, below: Array | None, counts: bool) -> tuple[Array, Array]:
        name, size = f"layers.{index}", WIDTH // HEADS
        query, key, value = np.split(self.linear(f"{name}.self_project", x), 3)
        self.said[index].append((key, value))
        heads = []
        for part in (slice(h * size, (h + 1) * size) for h in range(HEADS)):
            logits = np.array([query[part] @ k[part] for k, _ in self.said[index]]) / size**0.5
            weights = np.exp(logits) / np.exp(logits).sum()
            spoken = [v[part] for _, v in self.said[index]]
            heads.append(sum(w * v for w, v in zip(weights, spoken, strict=True)))
        x = x + self.linear(f"{name}.self_merge", np.concatenate(heads))
        x = self.norm(f"{name}.norm_self", x)

        query = self.linear(f"{name}.cross_query", x)
        keys, values = np.split(self.linear(f"{name}.cross_project", self.content), 2, axis=1)
        inside = self.valid.ravel()
        logits = np.full((HEADS, len(keys)), -np.inf)
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            for cell in np.flatnonzero(inside):
                logits[head, cell] = query[part] @ keys[cell, part] / size**0.5
        attention = self.softmax(logits)
        if self.arm is not None and below is not None:
            refinement = self.refine(self.looked[index])
            maps = [below] * self.arm.config.cross_coverage
            maps += [attention] * self.arm.config.self_coverage
            if counts:
                self.looked[index].append(np.concatenate(maps))
            attention = self.softmax(logits - refinement.reshape(HEADS, -1))
        seen = [attention[h] @ values[:, h * size : (h + 1) * size] for h in range(HEADS)]
        x = x + self.linear(f"{name}.cross_merge", np.concatenate(seen))
        x = self.norm(f"{name}.norm_cross", x)
        hidden = np.maximum(self.linear(f"{name}.forward_in", x), 0)
        x = x + self.linear(f"{name}.forward_out", hidden)
        return self.norm(f"{name}.norm_forward", x), attention

    @staticmethod
    def softmax(logits: Array) -> Array:
        weights = np.exp(logits)
        out: Array = weights / weights.sum(axis=1, keepdims=True)
        return out

    def refine(self, looked: list[Array]) -> Array:
        """The ARM of one step, from a fresh sum over all steps before: (heads, h, w)."""
        assert self.arm is not None
        coverage = np.zeros((self.arm.maps, *GRID))
        for maps in looked:
            coverage += maps.reshape(-1, *GRID)
        kernel = self.weights["arm.conv.weight"]
        reach = kernel.shape[-1] // 2
        padded = np.pad(coverage, ((0, 0), (reach, reach), (reach, reach)))
        out = np.zeros((HEADS, *GRID))
        for row in range(GRID[0]):
            for column in range(GRID[1]):
                window = padded[:, row : row + 2 * reach + 1, column : column + 2 * reach + 1]
                hidden = (kernel * window).sum(axis=(1, 2, 3)) + self.weights["arm.conv.bias"]
                seen = self.weights["arm.project.weight"][:, :, 0, 0] @ np.maximum(hidden, 0)
                seen -= self.weights["arm.norm.running_mean"]
                seen /= np.sqrt(self.weights["arm.norm.running_var"] + 1e-5)
                seen = seen * self.weights["arm.norm.weight"] + self.weights["arm.norm.bias"]
                out[:, row, column] = seen
        return out


@pytest.mark.parametrize("kind", ARMS)
@torch.no_grad()
def test_against_the_slow_reference(kind: str) -> None:
    made = decoder(kind)
    assert (made.arm is None) == (kind == "none")
    content, valid, memory = features(made)
    x = tokens()
    hidden, _ = made(x, memory)
    for image in range(2):
        for row in range(2):
            slow = Slow(made, content[image].double().numpy(), valid[image].numpy())
            for place in range(5):
                wanted = slow.next(x[image, row, place].double().numpy())
                np.testing.assert_allclose(
                    hidden[image, row, place].numpy(), wanted, rtol=1e-5, atol=1e-5
                )


@torch.no_grad()
def test_refinement_matters() -> None:
    """What the reference test could not see otherwise."""
    found = {}
    for kind in ARMS:
        made = decoder(kind)
        found[kind] = made(tokens(), features(made)[2])[0]
    for one in ARMS:
        for other in ARMS:
            if one != other:
                assert (found[one] - found[other])[:, :, 1:].abs().max() > 0.01


@torch.no_grad()
def test_tokens_that_do_not_count() -> None:
    """PosFormer's implicit attention correction."""
    made = decoder()
    content, valid, memory = features(made)
    x = tokens()
    counts = torch.tensor([[[1, 0, 1, 0, 1], [1, 1, 1, 1, 1]], [[0, 0, 0, 1, 1], [1, 0, 0, 0, 0]]])
    hidden, _ = made(x, memory, contributes=counts.bool())
    assert (hidden - made(x, memory)[0]).abs().max() > 0.01
    for image in range(2):
        for row in range(2):
            slow = Slow(made, content[image].double().numpy(), valid[image].numpy())
            for place in range(5):
                wanted = slow.next(
                    x[image, row, place].double().numpy(), bool(counts[image, row, place])
                )
                np.testing.assert_allclose(
                    hidden[image, row, place].numpy(), wanted, rtol=1e-5, atol=1e-5
                )


@pytest.mark.parametrize("kind", ARMS)
@torch.no_grad()
def test_step_by_step(kind: str) -> None:
    """Caches give the same as one pass."""
    made = decoder(kind)
    memory = features(made)[2]
    x = tokens(rows=3)
    counts = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0)) > 0.4
    whole, nothing = made(x, memory, contributes=counts)
    assert nothing == ()
    past: tuple[Tensor, ...] = ()
    found = []
    for place in range(5):
        part = slice(place, place + 1)
        hidden, past = made(x[:, :, part], memory, past, cache=True, contributes=counts[:, :, part])
        found.append(hidden)
        assert all(cache.shape[:2] == (2, 3) for cache in past)
    torch.testing.assert_close(torch.cat(found, dim=2), whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_is_not_seen() -> None:
    made = decoder()
    content, valid, memory = features(made)
    hidden, _ = made(tokens(), memory)
    content[1] = content[1].masked_fill(~valid[1].flatten()[:, None], 1e3)
    again, _ = made(tokens(), made.remember(content, valid))
    torch.testing.assert_close(again, hidden)
    alone = content[1:].view(1, *GRID, WIDTH)[:, :2, :3].reshape(1, 6, WIDTH)
    cut, _ = made(tokens()[1:], made.remember(alone, valid[1:, :2, :3]))
    torch.testing.assert_close(cut, hidden[1:])


@pytest.mark.parametrize("kind", ARMS)
@torch.no_grad()
def test_attention_maps(kind: str) -> None:
    made = decoder(kind)
    content, valid, memory = features(made)
    maps = made.cross_attention(tokens(), memory)
    assert maps.shape == (2, 2, 5, *GRID)
    assert maps.sum(dim=(3, 4)).flatten().tolist() == pytest.approx([1.0] * 20)
    assert not maps[1, :, :, ~valid[1]].any()
    slow = Slow(made, content[1].double().numpy(), valid[1].numpy())
    for place in range(5):
        below = None
        x = tokens()[1, 0, place].double().numpy()
        for layer in range(CONFIG.layers):
            x, below = slow.layer(layer, x, below, True)
        assert below is not None
        np.testing.assert_allclose(
            maps[1, 0, place].flatten().numpy(), below.mean(axis=0), rtol=1e-4, atol=1e-6
        )


def test_dropout_acts_on_what_becomes_coverage() -> None:
    """In training the maps that are summed are the thinned ones, as published."""
    made = decoder().train()
    memory = features(made)[2]
    seen: list[Tensor] = []
    assert made.arm is not None
    made.arm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made(tokens(), memory)
    for coverage in seen:
        steps = coverage.view(2, 2, 5, -1, *GRID)
        assert not steps[:, :, 0].any()  # nothing has been looked at before the first step
        grown = steps.diff(dim=2)[0]
        assert (grown.abs() < 1e-7).float().mean() > 0.15


def test_gradients_reach_every_part() -> None:
    made = decoder().train()
    hidden, _ = made(tokens(), features(made)[2])
    functional.mse_loss(hidden, torch.zeros_like(hidden)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name.endswith("weight"):
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("second", [True, False])
@torch.no_grad()
def test_word_embedding(second: bool) -> None:
    torch.manual_seed(0)
    made = WordEmbedding(7, WIDTH, second_norm=second)
    nn.init.normal_(made.norm.weight)
    words = torch.tensor([[1, 4, 6]])
    found = made(words, position=2)
    for place, word in enumerate([1, 4, 6]):
        x = made.embed.weight[word].double().numpy()
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * made.norm.weight.double().numpy()
        angles = (place + 2) / 10_000 ** (np.arange(0, WIDTH, 2) / WIDTH)
        x = x + np.stack([np.sin(angles), np.cos(angles)], axis=1).ravel()
        if second:
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        np.testing.assert_allclose(found[0, place].numpy(), x, rtol=1e-4, atol=1e-5)


def areas() -> Tensor:
    """A full and a smaller rectangle."""
    valid = torch.zeros(2, 4, 6, dtype=torch.bool)
    valid[0] = True
    valid[1, :3, :4] = True
    return valid


@pytest.mark.parametrize("training", [True, False])
def test_statistics_of_the_unpadded_cells(training: bool) -> None:
    """As batch norm over a list of the unpadded cells of all steps."""
    torch.manual_seed(0)
    ours, plain = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    for norm in (ours, plain):
        norm.train(training)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.fill_(0.4)
        norm.running_var.fill_(1.7)
    valid = areas()
    for _ in range(2):
        x = torch.randn(2, 5, 3, 4, 6, requires_grad=True)
        twin = x.detach().clone().requires_grad_()
        chosen = valid[:, None].expand(-1, 5, -1, -1)
        found = ours(x, valid).permute(0, 1, 3, 4, 2)[chosen]
        wanted = plain(twin.permute(0, 1, 3, 4, 2)[chosen])
        torch.testing.assert_close(found, wanted)
        weights = torch.randn_like(wanted)
        for result in (found, wanted):
            (result * weights).sum().backward()
        assert x.grad is not None and twin.grad is not None
        torch.testing.assert_close(x.grad, twin.grad)
    assert plain.running_mean is not None and plain.running_var is not None
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    torch.testing.assert_close(ours.running_var, plain.running_var)


def refinement_by_hand(
    arm: AttentionRefinement, coverage: NDArray[np.float64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Refinement of one step (maps, h, w), cell by cell, in evaluation mode."""
    weights = {k: v.detach().double().numpy() for k, v in arm.state_dict().items()}
    kernel, bias = weights["conv.weight"], weights["conv.bias"]
    reach = kernel.shape[-1] // 2
    maps, height, width = coverage.shape
    heads = len(weights["project.weight"])
    out = np.zeros((heads, height, width))
    for row in range(height):
        for column in range(width):
            if not valid[row, column]:
                continue
            hidden = bias.copy()
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    y, x = row + dy, column + dx
                    if 0 <= y < height and 0 <= x < width:
                        for m in range(maps):
                            hidden += kernel[:, m, dy + reach, dx + reach] * coverage[m, y, x]
            seen = weights["project.weight"][:, :, 0, 0] @ np.maximum(hidden, 0)
            spread = np.sqrt(weights["norm.running_var"] + 1e-5)
            seen = (seen - weights["norm.running_mean"]) / spread
            out[:, row, column] = seen * weights["norm.weight"] + weights["norm.bias"]
    return out


def trained_arm(heads: int, config: ArmConfig) -> AttentionRefinement:
    torch.manual_seed(1)
    arm = AttentionRefinement(heads, config)
    arm.norm.running_mean.normal_(std=0.2)
    arm.norm.running_var.uniform_(0.5, 2.0)
    nn.init.normal_(arm.norm.weight, 1.0, 0.3)
    nn.init.normal_(arm.norm.bias, 0.0, 0.3)
    return arm.eval()


@pytest.mark.parametrize(
    ("own", "below", "maps"), [(True, True, 4), (True, False, 2), (False, True, 2)]
)
@pytest.mark.parametrize("small", [0, 1 << 16])
def test_refinement(
    own: bool, below: bool, maps: int, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hmer.models.common.coverage_decoder._SMALL", small)
    config = ArmConfig(self_coverage=own, cross_coverage=below, channels=3, side=5)
    arm = trained_arm(2, config)
    assert arm.maps == maps
    valid = areas()
    coverage = torch.rand(2, 3, maps, 4, 6) * valid[:, None, None]
    with torch.no_grad():
        found = arm(coverage, valid)
    assert found.shape == (2, 3, 2, 4, 6)
    by_training = arm(coverage, valid).detach()
    inside = valid[:, None, None].expand_as(found)
    torch.testing.assert_close(found[inside], by_training[inside], rtol=1e-5, atol=1e-6)
    for b in range(2):
        for step in range(3):
            wanted = refinement_by_hand(arm, coverage[b, step].double().numpy(), valid[b].numpy())
            cells = valid[b].numpy()
            np.testing.assert_allclose(
                found[b, step].numpy()[:, cells], wanted[:, cells], rtol=1e-5, atol=1e-5
            )


def test_order_of_the_maps() -> None:
    below, own = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    for config, wanted in (
        (ArmConfig(), [0, 0, 1, 1]),
        (ArmConfig(cross_coverage=False), [1, 1]),
        (ArmConfig(self_coverage=False), [0, 0]),
    ):
        stacked = AttentionRefinement(2, config).stack(below, own)
        assert stacked[0, :, 0].tolist() == wanted


def test_the_fields_size() -> None:
    arm = AttentionRefinement(8, ArmConfig())
    assert sum(p.numel() for p in arm.parameters()) == 16 * 32 * 25 + 32 + 32 * 8 + 16
