"""Learning-rate schedule."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hmer.training.optimisation import OptimisationConfig, adamw, warmup_cosine, warmup_stable_decay


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (0, 0.25),
        (1, 0.5),
        (3, 1.0),
        (4, 1.0),
        (6, 0.5 * (1 + math.cos(math.pi / 4))),
        (8, 0.5),
        (12, 0.0),
        (20, 0.0),
    ],
)
def test_by_hand(step: int, wanted: float) -> None:
    assert warmup_cosine(step, 12, 4) == pytest.approx(wanted)


def test_without_warmup_or_without_anything_after_it() -> None:
    assert warmup_cosine(0, 10, 0) == 1.0
    assert warmup_cosine(5, 10, 0) == pytest.approx(0.5)
    assert warmup_cosine(4, 4, 4) == 1.0


def test_warmup_stable_decay() -> None:
    rates = [warmup_stable_decay(step, 12, 2, 4) for step in range(13)]
    assert rates[:2] == pytest.approx([0.5, 1.0])
    assert rates[2:9] == [1.0] * 7
    assert rates[9:] == pytest.approx([0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0.0])
    assert [warmup_stable_decay(step, 10**6, 2, 0) for step in range(9)] == rates[:9]


def test_only_matrices_decay_and_frozen_ones_are_left_out() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2, bias=False))
    net.append(nn.Linear(2, 3).requires_grad_(False))
    net.register_parameter("strength", nn.Parameter(torch.tensor(0.5)))
    optimiser, _ = adamw(net.named_parameters(), OptimisationConfig(steps=10, weight_decay=0.3))
    decayed, plain = optimiser.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    conv, norm, linear = net[0], net[1], net[2]
    assert {id(p) for p in decayed["params"]} == {id(conv.weight), id(linear.weight)}
    assert {id(p) for p in plain["params"]} == {
        id(p) for p in (conv.bias, norm.weight, norm.bias, net.get_parameter("strength"))
    }


def test_decay_shrinks_matrices_only() -> None:
    net = nn.Linear(2, 2)
    nn.init.ones_(net.weight)
    nn.init.ones_(net.bias)
    optimiser, _ = adamw(
        net.named_parameters(),
        OptimisationConfig(steps=1, warmup=0, learning_rate=0.5, weight_decay=0.1),
    )
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(net.weight.detach(), torch.full((2, 2), 0.95))
    torch.testing.assert_close(net.bias.detach(), torch.ones(2))


def test_the_rate_follows_the_schedule() -> None:
    config = OptimisationConfig(steps=8, warmup=0.25, learning_rate=0.1)
    optimiser, schedule = adamw(nn.Linear(2, 2).named_parameters(), config)
    rates = []
    for _ in range(8):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.05, 0.1, 0.1])
    assert rates[5] == pytest.approx(0.05)
    assert optimiser.param_groups[1]["lr"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("capabilities", "arithmetic"),
    [
        ({"avx2": True, "avx512_bf16": False}, "32-true"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"neon": True, "bf16": True}, "bf16-mixed"),
    ],
)
def test_bf16_only_where_the_processor_has_it(
    capabilities: dict[str, bool], arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)
    assert OptimisationConfig(steps=1, accelerator="cpu").arithmetic == arithmetic
    assert OptimisationConfig(steps=1, precision="32-true").arithmetic == "32-true"


@pytest.mark.parametrize("change", [{"precision": "16"}, {"steps": 0}, {"leg": 0}, {"rate": 1}])
def test_refuses(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OptimisationConfig.model_validate({"steps": 5, **change})
