"""ICAL's implicit character module and fusion, against PyTorch's own layer and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hmer.models.decoders.implicit import Fusion, ImplicitModule


def module(dropout: float = 0.0) -> ImplicitModule:
    torch.manual_seed(0)
    made = ImplicitModule(16, 4, 32, dropout)
    for norm in (made.norm_self, made.norm_forward):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return made.eval()


def as_pytorch(made: ImplicitModule) -> nn.TransformerEncoderLayer:
    """The library's layer with the same weights."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True).eval()
    pairs = {
        "self_attn.in_proj_": made.project, "self_attn.out_proj.": made.merge,
        "linear1.": made.forward_in, "linear2.": made.forward_out,
        "norm1.": made.norm_self, "norm2.": made.norm_forward,
    }  # fmt: skip
    layer.load_state_dict(
        {prefix + kind: getattr(part, kind) for prefix, part in pairs.items()
         for kind in ("weight", "bias")}
    )  # fmt: skip
    return layer


@torch.no_grad()
def test_is_a_causal_encoder_layer() -> None:
    made = module()
    x = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(1))
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    expected = as_pytorch(made)(x, src_mask=mask)
    torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_stepwise_as_at_once() -> None:
    made = module(dropout=0.5)  # which must not act in evaluation
    x = torch.randn(2, 3, 6, 16, generator=torch.Generator().manual_seed(1))
    whole = made(x.flatten(0, 1)).view(2, 3, 6, 16)
    past = None
    for place in range(6):
        stepped, past = made.step(x[:, :, place], past)
        assert past.shape == (2, 3, 2, place + 1, 16)
        torch.testing.assert_close(stepped, whole[:, :, place], rtol=0, atol=1e-5)


def test_heads_must_divide() -> None:
    with pytest.raises(ValueError, match="10 does not divide into 4 heads"):
        ImplicitModule(10, 4, 32, 0.0)


@torch.no_grad()
def test_fusion_number_by_number() -> None:
    torch.manual_seed(3)
    fusion = Fusion(3)
    explicit, implicit = torch.randn(2, 2, 3)
    mixed = fusion(explicit, implicit)
    for row in range(2):
        both = [*explicit[row].tolist(), *implicit[row].tolist()]
        for channel in range(3):
            weights = fusion.gate.weight[channel].tolist()
            total = sum(w * x for w, x in zip(weights, both, strict=True))
            gate = 1 / (1 + math.exp(-total - float(fusion.gate.bias[channel])))
            expected = gate * both[3 + channel] + (1 - gate) * both[channel]
            assert float(mixed[row, channel]) == pytest.approx(expected, abs=1e-6)
