"""ICAL's implicit character module and fusion, against PyTorch's own layer and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.coverage_decoder import RefinedDecoderConfig
from hmer.models.common.grid import both_rows, stack_rows
from hmer.models.ical import ICAL, Fusion, ICALConfig, ImplicitModule
from tests.hmer.models.conftest import CAPTIONS, ENCODER, BatchMaker


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


CONFIG = ICALConfig(
    encoder=ENCODER,
    decoder=RefinedDecoderConfig(layers=2, width=16, heads=2, feedforward=16, dropout=0.0),
)


def recogniser(words: Vocabulary, config: ICALConfig = CONFIG) -> ICAL:
    torch.manual_seed(0)
    return ICAL(config, words)


@torch.no_grad()
@pytest.mark.parametrize("weighted", [True, False])
def test_losses_by_hand(toy_words: Vocabulary, draw_batch: BatchMaker, weighted: bool) -> None:
    made = recogniser(toy_words, CONFIG.model_copy(update={"dynamic_weight": weighted})).eval()
    batch = draw_batch(*CAPTIONS[:2])
    losses, logits = made.losses(batch)
    assert set(losses) == {"word", "explicit", "implicit"}
    assert logits.shape == (4, 8, 10)

    hidden, _ = made.hidden(both_rows(batch.inputs), made.encode(batch.images))
    explicit = stack_rows(hidden)
    implicit = made.implicit(explicit)
    gate = torch.sigmoid(
        torch.cat([explicit, implicit], dim=-1) @ made.fusion.gate.weight.T + made.fusion.gate.bias
    )
    fused = made.head((gate * implicit + (1 - gate) * explicit).relu())
    torch.testing.assert_close(logits, fused[..., :10])
    sums = {"word": 0.0, "explicit": 0.0, "implicit": 0.0}
    total_weight = 0.0
    # "a ^ { 1 }" + stop and "b" + stop: blanks are a, 1 and b, both ways, among 4 * 8 places.
    heavy = float(1 + torch.log(torch.tensor(1 + 1 / (1 - 6 / 32)))) if weighted else 1.0
    for row, line in enumerate(batch.targets.tolist()):
        for place, target in enumerate(line):
            if target == 0:
                continue
            tag = 10 if target in (3, 4, 5) else target
            weight = 1.0 if tag == 10 else heavy
            sums["word"] -= float(fused[row, place].log_softmax(0)[target])
            seen = made.explicit_head(explicit[row, place])
            sums["explicit"] -= float(seen.log_softmax(0)[target])
            felt = made.implicit_head(implicit[row, place].relu())
            sums["implicit"] -= weight * float(felt.log_softmax(0)[tag])
            total_weight += weight
    count = 2 * (6 + 2)
    assert float(losses["word"]) == pytest.approx(sums["word"] / count, rel=1e-4)
    assert float(losses["explicit"]) == pytest.approx(sums["explicit"] / count, rel=1e-4)
    assert float(losses["implicit"]) == pytest.approx(sums["implicit"] / total_weight, rel=1e-4)
