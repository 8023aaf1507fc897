"""The dense encoder: its sizes, and its arithmetic against a plain reading of its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.common.densenet import DenseNet, DenseNetConfig
from hmer.models.common.ink_cells import written_area
from tests.hmer.models.conftest import trained


def made_as(**sizes: Any) -> DenseNet:
    torch.manual_seed(0)
    return trained(DenseNet(DenseNetConfig(**sizes)))


def test_the_fields_size() -> None:
    assert DenseNet(DenseNetConfig(growth=4, layers=2)).channels == ((8 + 8) // 2 + 8) // 2 + 8
    made = DenseNet(DenseNetConfig())
    assert (made.channels, made.stride) == (684, 16)
    weights = sum(p.numel() for p in made.parameters())
    # 3.157 million with the recognisers' projection to 256 channels and its layer norm.
    assert weights == 2_980_752
    assert round((weights + 684 * 256 + 256 + 512) / 1e6, 3) == 3.157
    widths = [p.weight.shape[1] for p in made.modules() if isinstance(p, nn.Conv2d)]
    # Into the first layer, the two transitions, and the last layer (684 = 660 + 24).
    assert widths[1] == 48 and widths[33] == 432 and widths[66] == 600 and widths[-2] == 660
    assert sum(isinstance(p, nn.Conv2d) for p in made.modules()) == 1 + 3 * 32 + 2
    assert all(p.bias is None for p in made.modules() if isinstance(p, nn.Conv2d))


def normalised(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    x = (x - mean[:, None, None]) / (var + 1e-5).sqrt()[:, None, None]
    return x * weights[f"{name}.weight"][:, None, None] + weights[f"{name}.bias"][:, None, None]


@torch.no_grad()
def test_arithmetic() -> None:
    made = made_as(growth=4, layers=2)
    weights = made.state_dict()
    images = torch.rand(2, 1, 32, 48)

    def layer(x: Tensor, name: str, padding: int) -> Tensor:
        x = functional.conv2d(x, weights[f"{name}.conv.weight"], padding=padding)
        return normalised(x, weights, f"{name}.norm").clamp(min=0)

    x = functional.conv2d(images, weights["stem.0.weight"], stride=2, padding=3)
    x = normalised(x, weights, "stem.1").clamp(min=0)
    x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    place = 0
    for block in range(3):
        for _ in range(2):
            grown = layer(layer(x, f"blocks.{place}.narrow", 0), f"blocks.{place}.grow", 1)
            x = torch.cat([x, grown], dim=1)
            place += 1
        if block < 2:
            x = layer(x, f"blocks.{place}", 0)
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
            place += 2
    torch.testing.assert_close(made(images), normalised(x, weights, "norm"), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    made = DenseNet(DenseNetConfig(growth=4, layers=1, dropout=0.5))
    images = torch.rand(1, 1, 32, 32)
    assert not torch.equal(made(images), made(images))
    made.eval()
    assert torch.equal(made(images), made(images))


def drawing() -> Tensor:
    """Three images on one canvas: with paper around, full, and blank."""
    images = torch.zeros(3, 1, 64, 96)
    images[0, :, 5:20, 3:40] = torch.rand(15, 37, generator=torch.Generator().manual_seed(1))
    images[1] = torch.rand(64, 96, generator=torch.Generator().manual_seed(2))
    images[0, :, 30, 60] = 0.05  # too faint to be ink
    return images


def test_the_fast_way_is_the_slow_way() -> None:
    made = made_as(growth=6, layers=3)
    images = drawing()
    slow = made(images)
    assert slow.requires_grad
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert made._foldable(images)
            torch.testing.assert_close(made(images), slow.detach(), rtol=1e-4, atol=1e-5)
    area = written_area(images, 16)
    assert area.flatten(1).sum(dim=1).tolist() == [6, 24, 24]
    assert not slow.detach().masked_select(~area.unsqueeze(1)).any()


@torch.no_grad()
def test_the_fast_way_follows_the_weights() -> None:
    made = made_as(growth=4, layers=1)
    images = drawing()
    before = made(images)
    assert made._fold() is made._fold()
    made.blocks[0].grow.conv.weight.mul_(0.5)  # type: ignore[operator,union-attr]
    halved = made(images)
    assert (halved - before).abs().max() > 1e-3
    made.norm.running_mean.add_(1.0)  # type: ignore[union-attr]
    assert (made(images) - halved).abs().max() > 1e-3
    made.load_state_dict(made_as(growth=4, layers=1).state_dict())
    torch.testing.assert_close(made(images), before)
    twice = made.double()
    torch.testing.assert_close(twice(images.double()).float(), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fast", [True, False])
def test_padding_does_not_matter(fast: bool) -> None:
    made = made_as(growth=4, layers=8)
    images = drawing()[:1]
    wide = functional.pad(images, (0, 320, 0, 160))
    with torch.set_grad_enabled(not fast):
        alone = made(images).detach()
        together = made(torch.cat([wide, torch.ones_like(wide)])).detach()
    torch.testing.assert_close(together[:1, :, :4, :6], alone, rtol=1e-4, atol=1e-5)


def test_gradients_in_either_layout() -> None:
    images, found = drawing().double(), []
    weights = torch.randn(1, 16, 4, 6, dtype=torch.float64)
    for layout in (torch.channels_last, torch.contiguous_format):
        made = made_as(growth=4, layers=2, dropout=0.0).double().train()
        made.layout = layout
        (made(images) * weights).sum().backward()
        found.append([p.grad.clone() for p in made.parameters() if p.grad is not None])
    assert len(found[0]) == len(list(made.parameters()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
