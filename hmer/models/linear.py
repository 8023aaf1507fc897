"""Faster linear layers and recurrent cells for decoding on a CPU.

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

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        if not _open(input):
            return super().forward(input)
        return _linear(input, self.weight, self.bias)


class FastGRUCell(nn.GRUCell):
    """A recurrent cell that multiplies by oneDNN where no gradient is wanted; see `FastLinear`."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state (R, width) for input (R, inputs) and state (R, width)."""
        if hx is None or not _open(input):
            return super().forward(input, hx)
        seen = _linear(input, self.weight_ih, self.bias_ih).chunk(3, dim=1)
        known = _linear(hx, self.weight_hh, self.bias_hh).chunk(3, dim=1)
        reset, update = (torch.sigmoid(seen[i] + known[i]) for i in (0, 1))
        new = torch.tanh(torch.addcmul(seen[2], reset, known[2]))
        return torch.lerp(new, hx, update)


def _open(input: Tensor) -> bool:
    """Whether the fast way is."""
    plain = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    return not plain and input.device.type == "cpu" and input.dtype == torch.float32


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    operator = torch.ops.mkldnn._linear_pointwise
    return cast(Tensor, operator(input, weight, bias, "none", [], ""))


def use_fast_linear(model: nn.Module) -> None:
    """Replace the linear layers and recurrent cells of a model, in place."""
    if not torch._C._has_mkldnn:
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            fast: nn.Module
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                fast = FastLinear.__new__(FastLinear)
            elif type(child) is nn.GRUCell and child.weight_ih.dtype == torch.float32:
                fast = FastGRUCell.__new__(FastGRUCell)
            else:
                continue
            fast.__dict__.update(child.__dict__)  # the same parameters, not copies
            setattr(parent, name, fast)
