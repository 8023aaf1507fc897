"""The step as earlier versions exported it, which is read still: caches of each hypothesis."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from hmer.export.convert import EncoderGraph, _convert
from hmer.extra import require
from hmer.models.common.layers import sinusoid
from hmer.models.mask_match import MaskMatch
from hmer.models.mask_match.decoder import DecoderLayer


class EarlierStepGraph(nn.Module):
    """`MaskMatch.step` from tensors to tensors; of one layer with coverage."""

    def __init__(self, model: MaskMatch) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, tokens: Tensor, memory: list[Tensor], past: list[Tensor]) -> list[Tensor]:
        """Tokens (B, K), keys, values and bias, and caches to logits, caches and attention."""
        decoder = self.decoder
        layer = cast(DecoderLayer, decoder.layers[0])
        places = torch.arange(past[0].shape[3], past[0].shape[3] + 1)
        x = decoder.embed(tokens) * decoder.width**0.5 + sinusoid(places, decoder.width)
        x, entry = layer.recall(x, past[0])
        keys, values, bias = memory
        look = layer.look_openly(x, keys, values, bias, past[1].transpose(1, 2))
        logits = decoder.head(decoder.norm(layer.think(look.x)))
        return [logits, entry, look.covered.transpose(1, 2), look.weights.mean(dim=1)]


def make_earlier(model: MaskMatch, exported: Path, out: Path) -> None:
    """The exported folder of the model as an earlier version would have written it."""
    shutil.copytree(exported, out)
    batch, hypotheses, length, cells = map(
        torch.export.Dim, ("batch", "hypotheses", "length", "cells")
    )
    memory = list(EncoderGraph(model)(torch.ones(3, 1, 3 * model.stride, 4 * model.stride))[:-2])
    width, heads, count = model.decoder.width, memory[0].shape[1], memory[-1].shape[-1]
    names = ["keys_0", "values_0", "bias"]
    step = _convert(
        EarlierStepGraph(model),
        (
            torch.ones(3, 5, dtype=torch.int64),
            memory,
            [torch.zeros(3, 5, 2, 7, width), torch.zeros(3, 5, heads, count)],
        ),
        (
            {0: batch, 1: hypotheses},
            [{0: batch, 2: cells}] * 2 + [{0: batch, 3: cells}],
            [{0: batch, 1: hypotheses, 3: length}, {0: batch, 1: hypotheses, 3: cells}],
        ),
        ["tokens", *names, "past_0", "past_1"],
        ["logits", "grown_0", "grown_1", "looked"],
        {"tokens": {0: "batch", 1: "hypotheses"}, "bias": {3: "cells"}, "past_0": {3: "length"}},
    )
    require("onnx").save_model(step, out / "step.onnx")
    about = json.loads((out / "model.json").read_text(encoding="utf-8"))
    about["sha256"]["step.onnx"] = hashlib.sha256((out / "step.onnx").read_bytes()).hexdigest()
    about["step"] = {
        "inputs": ["tokens", *names, "past_0", "past_1"],
        "outputs": ["logits", "grown_0", "grown_1", "looked"],
    }
    about["past"] = [
        ["batch", "hypotheses", 2, "length", width],
        ["batch", "hypotheses", heads, "cells"],
    ]
    (out / "model.json").write_text(json.dumps(about), encoding="utf-8")
