"""The linear probe."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hmer.evaluation.retrieval.probe import fit, probe


def clusters(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.array(["a", "b", "c"]), 40)
    middles = {"a": (0.0, 3.0), "b": (3.0, 0.0), "c": (-3.0, -3.0)}
    points = np.array([middles[kind] for kind in kinds]) + spread * rng.standard_normal((120, 2))
    vectors = np.concatenate([points, np.full((120, 1), 7.0)], axis=1).astype(np.float32)
    return vectors, kinds, np.tile(np.arange(10), 12)


def test_reads_what_is_linearly_there() -> None:
    vectors, kinds, groups = clusters(0, 0.5)
    assert (probe(vectors, kinds, groups, 5, 1e-3, 0) == kinds).all()
    noise = np.random.default_rng(1).standard_normal(vectors.shape).astype(np.float32)
    assert (probe(noise, kinds, groups, 5, 1e-3, 0) == kinds).mean() < 0.6


def test_no_group_is_on_both_sides() -> None:
    # Every group has a label of its own: trained on the others, the probe cannot know it.
    vectors, _, groups = clusters(0, 0.5)
    names = np.array([f"only-{group}" for group in groups])
    assert not (probe(vectors, names, groups, 5, 1e-3, 0) == names).any()


def test_the_optimum_has_no_slope() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(60, 4), torch.randint(0, 3, (60,))
    weight, bias = fit(inputs, targets, 3, 0.1)
    weight.requires_grad_()
    bias.requires_grad_()
    logits = inputs @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(logits, targets) + 0.05 * weight.square().sum()
    torch.autograd.backward(loss)
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.abs().max()) < 1e-4
    assert float(bias.grad.abs().max()) < 1e-4


def test_the_same_every_time() -> None:
    vectors, kinds, groups = clusters(2, 3.0)
    first = probe(vectors, kinds, groups, 4, 1e-3, 5)
    assert np.array_equal(first, probe(vectors, kinds, groups, 4, 1e-3, 5))


def test_needs_two_groups() -> None:
    vectors, kinds, groups = clusters(0, 1.0)
    with pytest.raises(ValueError, match="two"):
        probe(vectors, kinds, np.zeros_like(groups), 5, 1e-3, 0)
