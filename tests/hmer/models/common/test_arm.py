"""The attention refinement module, against loops over cells and against gathered statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hmer.models.common.coverage_decoder import ArmConfig, AttentionRefinement, MaskedBatchNorm


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


def reference(
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


def trained(heads: int, config: ArmConfig) -> AttentionRefinement:
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
    arm = trained(2, config)
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
            wanted = reference(arm, coverage[b, step].double().numpy(), valid[b].numpy())
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
