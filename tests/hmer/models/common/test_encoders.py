"""What holds for every encoder; the compact one: its arithmetic, and that it is convolutional."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.common.densenet import DenseNet, DenseNetConfig
from hmer.models.common.encoders import (
    CompactConfig,
    CompactEncoder,
    EncoderConfig,
    ResidualBlock,
    build_encoder,
)
from tests.hmer.models.conftest import trained


@pytest.mark.parametrize(
    "config", [CompactConfig(width=8, blocks=(1, 1, 1)), DenseNetConfig(growth=4, layers=2)]
)
def test_every_encoder(config: CompactConfig | DenseNetConfig) -> None:
    """Shapes as said, the same answer twice, and every weight learns."""
    encoder = build_encoder(config)
    stride = encoder.stride
    for height, width in ((1, 1), (3, 5)):
        images = torch.rand(2, 1, height * stride, width * stride)
        before = images.clone()
        features = encoder.eval()(images)
        assert features.shape == (2, encoder.channels, height, width)
        assert torch.equal(encoder(images), features) and torch.equal(images, before)
    encoder.train()(images).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert type(config).model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("blocks", "channels", "stride"), [((1,), 8, 2), ((1, 1, 1), 32, 8), ((2, 1), 16, 4)]
)
def test_shapes(blocks: tuple[int, ...], channels: int, stride: int) -> None:
    encoder = CompactEncoder(CompactConfig(width=8, blocks=blocks))
    assert (encoder.channels, encoder.stride) == (channels, stride)
    features = encoder(torch.rand(2, 1, 4 * stride, 7 * stride))
    assert features.shape == (2, channels, 4, 7)
    assert sum(isinstance(part, ResidualBlock) for part in encoder.modules()) == sum(blocks)


def normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None
    shape = (1, -1, 1, 1)
    centred = (x - mean.view(shape)) / (var.view(shape) + norm.eps).sqrt()
    return centred * norm.weight.view(shape) + norm.bias.view(shape)


@torch.no_grad()
@pytest.mark.parametrize(("outputs", "stride"), [(4, 1), (8, 2)])
def test_residual_block_by_hand(outputs: int, stride: int) -> None:
    block = trained(ResidualBlock(4, outputs, stride))
    assert isinstance(block, ResidualBlock)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    inner = normalised(functional.conv2d(x, block.conv1.weight, None, stride, 1), block.norm1)
    outer = normalised(
        functional.conv2d(inner.clamp(min=0), block.conv2.weight, None, 1, 1), block.norm2
    )
    way = x
    if stride == 2:
        assert isinstance(block.shortcut, nn.Sequential)
        convolution, norm = block.shortcut
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        way = normalised(
            torch.einsum("oi,bihw->bohw", convolution.weight[:, :, 0, 0], x[:, :, ::2, ::2]), norm
        )
    torch.testing.assert_close(block(x), (outer + way).clamp(min=0), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_moved_ink_moves_the_features() -> None:
    encoder = trained(CompactEncoder(CompactConfig(width=8, blocks=(1, 1, 1))))
    ink = torch.rand(16, 16, generator=torch.Generator().manual_seed(1))
    here, there = torch.zeros(2, 1, 96, 128)
    here[..., 40:56, 40:56] = ink
    there[..., 40:56, 64:80] = ink
    one, other = encoder(here[None]), encoder(there[None])
    torch.testing.assert_close(one[..., 4:8, 4:8], other[..., 4:8, 7:11])
    assert not torch.allclose(one[..., 4:8, 4:8], one[..., 4:8, 7:11])


@torch.no_grad()
def test_more_paper_changes_nothing_far_from_the_border() -> None:
    encoder = trained(CompactEncoder(CompactConfig(width=8, blocks=(1, 1, 1))))
    small = torch.zeros(1, 1, 64, 64)
    small[..., 4:30, 4:30] = torch.rand(26, 26, generator=torch.Generator().manual_seed(2))
    large = functional.pad(small, (0, 64, 0, 32))
    one, other = encoder(small), encoder(large)
    torch.testing.assert_close(one[..., :4, :4], other[..., :4, :4])


@pytest.mark.parametrize(
    "wrong", [{"width": 10}, {"width": 4}, {"blocks": ()}, {"blocks": (1, 0)}, {"depth": 3}]
)
def test_config_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CompactConfig.model_validate(wrong)


class Owner(BaseModel):
    encoder: EncoderConfig = DenseNetConfig()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"name": "densenet", "layers": 1}, DenseNetConfig(layers=1)),
        ({"name": "compact", "width": 8}, CompactConfig(width=8)),
        ({"width": 8}, CompactConfig(width=8)),  # as models before encoders had names
        (CompactConfig(width=12), CompactConfig(width=12)),
    ],
)
def test_told_apart_by_name(given: Any, wanted: CompactConfig | DenseNetConfig) -> None:
    found = Owner.model_validate({"encoder": given}).encoder
    assert found == wanted
    assert Owner.model_validate_json(Owner(encoder=found).model_dump_json()).encoder == wanted
    kind = CompactEncoder if isinstance(wanted, CompactConfig) else DenseNet
    assert isinstance(build_encoder(found), kind)


def test_refuses() -> None:
    with pytest.raises(ValidationError, match="choose name: compact or name: densenet"):
        Owner.model_validate({"encoder": {"name": "resnet"}})
    with pytest.raises(ValidationError, match="growth"):
        Owner.model_validate({"encoder": {"name": "compact", "growth": 4}})
