"""The same network before any training: what its architecture alone can do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Network = TypeVar("Network", bound=nn.Module)

ENOUGH = 24
"""Pictures for the statistics of batch norm: means over tens of thousands of cells."""


def untrained(network: Network, seed: int, run: Callable[[Network], object]) -> Network:
    """A copy with fresh weights, as its layers draw them; in evaluation mode.

    Batch norm takes the statistics of some of the pictures that the network is judged on: without
    any, signals would die away from layer to layer, and the comparison would be too easy.
    Weights that no layer draws by itself (a single parameter of the network's own) stay as they
    are. The global random state is left alone.

    Args:
        network: trained, or not.
        seed: of the weights.
        run: shows pictures to the network, `ENOUGH` of them will do.
    """
    fresh = copy.deepcopy(network)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        for layer in fresh.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()
    fresh.eval()
    norms = [layer for layer in fresh.modules() if isinstance(layer, _BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    run(fresh)
    return fresh.eval()
