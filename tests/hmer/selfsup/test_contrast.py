"""The network of phase 1, batch by batch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hmer.models.common.ink_cells import ink_cells
from hmer.selfsup.contrast import Contrast, PretrainConfig
from hmer.selfsup.global_loss import nt_xent
from hmer.selfsup.key_loss import key_info_nce
from hmer.selfsup.local_loss import cells_at, local_info_nce
from hmer.selfsup.pooling import ink_mean
from hmer.selfsup.views import ViewBatch
from hmer.training.optimisation import OptimisationConfig


def contrast(**changes: Any) -> Contrast:
    torch.manual_seed(0)
    config = PretrainConfig.model_validate({
        "encoder": {"width": 16, "blocks": [1, 1]},
        "optimisation": OptimisationConfig(steps=4),
        "projection": 8,
        "temperature": 0.2,
        "global_weight": 1.0,
        **changes,
    })  # fmt: skip
    return Contrast(config, 0)


def views(count: int, seed: int = 0, *, blank: bool = False) -> ViewBatch:
    torch.manual_seed(seed)
    images = (torch.rand(2 * count, 1, 16, 24) < 0.2).float()
    if blank:
        images[0] = images[count] = 0.0
    points = torch.rand(2 * count, 5, 2) * torch.tensor([24.0, 16.0])
    valid = torch.rand(count, 5) < 0.8
    valid[0] = not blank
    fresh = torch.ones(count, dtype=torch.bool)
    return ViewBatch(images, points, valid, fresh, torch.arange(count) + 10 * seed)


def total(losses: Any) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def test_the_losses_are_those_of_the_two_heads() -> None:
    module, batch = contrast(global_weight=2.0, local_weight=0.5, temperature=0.3), views(4)
    losses, measured = module.losses(batch)
    features = module.encoder(batch.images)
    tower = module.tower
    assert tower.project_global is not None
    assert tower.project_local is not None
    whole = tower.project_global(ink_mean(features, ink_cells(batch.images, 4)))
    parts = tower.project_local(cells_at(features, batch.points, 4))
    wanted = 2 * nt_xent(whole[:4], whole[4:], 0.3)
    torch.testing.assert_close(losses["global"], wanted)
    wanted = 0.5 * local_info_nce(parts[:4], parts[4:], batch.valid, 0.3)
    torch.testing.assert_close(losses["local"], wanted)
    assert len(measured) == 6


@pytest.mark.parametrize(("off", "on"), [("global", "local"), ("local", "global")])
def test_a_loss_of_weight_zero_is_not_computed(
    off: str, on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = contrast(**{f"{off}_weight": 0.0})
    assert not any(f"project_{off}" in name for name, _ in module.named_parameters())

    def never(*_: Any) -> Tensor:
        raise AssertionError(f"the {off} loss was computed")

    name = {"global": "nt_xent", "local": "local_info_nce"}[off]
    monkeypatch.setattr(f"hmer.selfsup.contrast.{name}", never)
    losses, _ = module.losses(views(3))
    assert losses[off] == 0
    assert losses[on] > 0
    total(losses).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("queue", [0, 8])
def test_a_batch_of_one_does_no_harm(momentum: float, queue: int) -> None:
    module = contrast(momentum=momentum, queue=queue)
    losses, measured = module.losses(views(1))
    assert losses["global"] == 0
    assert losses["local"] > 0  # cells of one expression can be told apart
    assert "spread" not in measured
    total(losses).backward()  # type: ignore[no-untyped-call]
    if queue:
        module.after_step()
        later, _ = module.losses(views(1, seed=1))
        assert later["global"] > 0  # there is something to be told from by now
        module.after_step()
        again, _ = contrast(momentum=momentum, queue=queue).losses(views(1, seed=1))
        assert again["global"] == 0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_blank_image_does_no_harm(momentum: float) -> None:
    losses, measured = contrast(momentum=momentum).losses(views(3, blank=True))
    for value in (*losses.values(), *measured.values()):
        assert math.isfinite(value.item())
    nothing = views(2)
    blank = ViewBatch(
        torch.zeros_like(nothing.images), nothing.points, torch.zeros_like(nothing.valid),
        nothing.fresh, nothing.samples,
    )  # fmt: skip
    losses, _ = contrast(momentum=momentum).losses(blank)
    assert losses["local"] == 0
    assert math.isfinite(losses["global"].item())


def test_an_expression_of_one_matched_cell() -> None:
    batch = views(1)
    batch.valid[:] = False
    batch.valid[0, 0] = True
    losses, measured = contrast().losses(batch)
    assert losses == {"global": 0, "local": 0}
    assert measured == {}


def test_negatives_come_from_the_queue_but_never_the_own_embedding() -> None:
    module, batch = contrast(queue=3), views(3)
    module.losses(batch)
    assert module.queue is not None
    assert module.queue.negatives(batch.samples)[0].shape == (0, 8)  # pushed after the step
    module.after_step()
    keys, others = module.queue.negatives(batch.samples)
    assert keys.shape == (3, 8)
    assert torch.equal(others, ~torch.eye(3, dtype=torch.bool))
    features = module.encoder(batch.images)
    assert module.tower.project_global is not None
    whole = module.tower.project_global(ink_mean(features, ink_cells(batch.images, 4)))
    losses, _ = module.losses(batch)
    wanted = nt_xent(whole[:3], whole[3:], 0.2, keys, others)
    torch.testing.assert_close(losses["global"], wanted, rtol=1e-4, atol=1e-4)


def test_keys_of_several_batches_and_processes_come_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = contrast(queue=8)
    assert module.queue is not None

    def key(number: int) -> tuple[Tensor, Tensor]:
        return torch.eye(8)[[number]], torch.tensor([number])

    # Two processes with two batches each: number 0 and 2, 1 and 3.
    module._fresh_keys = [key(0), key(2)]
    monkeypatch.setattr("hmer.selfsup.contrast.gathered", lambda mine: [mine, [key(1), key(3)]])
    module.after_step()
    assert module.queue.owners.tolist() == [3, 2, 1, 0, -1, -1, -1, -1]
    assert module._fresh_keys == []


def test_the_slow_encoder_makes_the_keys_and_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = contrast(momentum=0.75), views(3)
    slow = module.slow
    assert slow is not None
    for parameter in slow.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    asked = []
    for turn in (0, 1):
        monkeypatch.setattr(
            "hmer.selfsup.contrast.torch.randint", lambda *_, t=turn: torch.tensor(t)
        )
        losses, _ = module.losses(batch)
        images, points = batch.images.chunk(2), batch.points.chunk(2)
        queries, _ = module.tower(images[turn], points[turn])
        keys, _ = slow(images[1 - turn], points[1 - turn])
        torch.testing.assert_close(losses["global"], key_info_nce(queries, keys, 0.2))
        asked.append(losses["global"].item())
    assert asked[0] != asked[1]
    total(losses).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in slow.parameters())
    assert all(p.grad is not None for p in module.tower.parameters())
    pairs = list(zip(slow.parameters(), module.tower.parameters(), strict=True))
    wanted = [0.75 * old.detach() + 0.25 * new.detach() for old, new in pairs]
    module.after_step()
    for (old, _), value in zip(pairs, wanted, strict=True):
        torch.testing.assert_close(old.detach(), value)
