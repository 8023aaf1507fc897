"""Faster linear layers for decoding on a CPU.

A decoding step is small matrix products, at which PyTorch's BLAS (MKL) is less than half as fast
as oneDNN on processors that are not Intel's (benchmarks/README.md). oneDNN is part of PyTorch; its
linear operator is what the compiler (Inductor) calls, too.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class FastLinear(nn.Linear):
    """A linear layer that computes by oneDNN where no gradient is wanted.

    Results differ from `nn.Linear` by rounding only. In training, on an accelerator, in other
    precisions and where oneDNN is missing, it is `nn.Linear`.
    """

    @classmethod
    def sharing(cls, linear: nn.Linear) -> FastLinear:
        """A layer with the same parameters, not with copies."""
        fast = cls.__new__(cls)
        fast.__dict__.update(linear.__dict__)
        return fast

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        plain = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        if plain or input.device.type != "cpu" or input.dtype != torch.float32:
            return super().forward(input)
        operator = torch.ops.mkldnn._linear_pointwise
        return cast(Tensor, operator(input, self.weight, self.bias, "none", [], ""))


def use_fast_linear(model: nn.Module) -> None:
    """Replace the linear layers of a model, in place."""
    if not torch._C._has_mkldnn:
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, FastLinear.sharing(child))
