"""The decoder step of Mask & Match as an ONNX graph: the next tokens of a tree of hypotheses.

Written operator by operator: onnxruntime spends most of a step on the number of operators, and
what the exporter makes of PyTorch's decoder has half as many again.

Every token that was ever written keeps its one place in the caches, and a hypothesis is a row of a
mask (`hmer.models.common.kv_cache` does likewise), so hypotheses are chosen without copying caches.
New tokens may follow one another: a search adds one to each hypothesis, scoring of given sequences
adds a whole tree at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from hmer.extra import require
from hmer.models.mask_match import MaskMatch
from hmer.models.mask_match.decoder import COVERAGE_SCALE, CoverageRefinement, DecoderLayer

OPSET = 20
"""The first with GELU."""


def layers_of(model: MaskMatch) -> list[DecoderLayer]:
    """The decoder's layers."""
    return cast(list[DecoderLayer], list(model.decoder.layers))


def cache_shapes(model: MaskMatch) -> list[list[int | str]]:
    """Shape of every cache of a step, in order; names are sizes that vary.

    Keys and values of each layer, then the coverage of each layer.
    """
    layers = layers_of(model)
    heads, part = layers[0].heads, model.decoder.width // layers[0].heads
    written: list[list[int | str]] = [["batch", heads, "places", part] for _ in 2 * layers]
    return written + [["batch", heads, "new", "cells"] for _ in layers]


def step_names(model: MaskMatch, memory: Sequence[str]) -> tuple[list[str], list[str]]:
    """Inputs and outputs of a step in order, given those that come from the encoder."""
    caches = range(len(cache_shapes(model)))
    inputs = ["tokens", "depth", "seen", "above", *memory, *(f"past_{i}" for i in caches)]
    return inputs, ["said", *(f"grown_{i}" for i in caches), "looked"]


class _Graph:
    """Operators in order, and the constants that they take."""

    def __init__(self) -> None:
        self.onnx = require("onnx", extra="export")
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def __call__(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add an operator with one output, and give that output's name."""
        out = out or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [out], **attributes))
        return out

    def constant(self, name: str, value: Any) -> str:
        """A tensor of the graph, by its name."""
        self.constants[name] = self.onnx.numpy_helper.from_array(np.asarray(value), name)
        return name

    def weight(self, name: str, value: torch.Tensor) -> str:
        """A weight of the model, by its name there."""
        return self.constant(name, value.detach().cpu().float().numpy())

    def linear(self, x: str, layer: nn.Linear, name: str) -> str:
        """x (rows, inputs) to (rows, outputs)."""
        weight, bias = (self.weight(f"{name}.{p}", getattr(layer, p)) for p in ("weight", "bias"))
        return self("Gemm", x, weight, bias, transB=1)

    def norm(self, x: str, layer: nn.LayerNorm, name: str) -> str:
        """Layer normalisation of x (rows, width)."""
        weight, bias = (self.weight(f"{name}.{p}", getattr(layer, p)) for p in ("weight", "bias"))
        return self("LayerNormalization", x, weight, bias, axis=-1, epsilon=layer.eps)


def convert_step(model: MaskMatch) -> Any:
    """One step of decoding as an ONNX model (`onnx.ModelProto`).

    Its inputs, beside what the encoder gives:
        tokens: int64 (batch, new).
        depth: int64 (batch, new), how many tokens are before each.
        seen: (batch, 1, new, places + new), 0 for the places in the caches and the new tokens that
            a token sees, itself included; -inf elsewhere.
        above: (batch, 1, new, new), 1 where a new token comes before another in its hypothesis.
        past_i: keys and values of each layer (batch, heads, places, width / heads); then, of each
            layer, the attention that the cells have had from what is before the new
            tokens, (batch, heads, new, cells).

    And its outputs: log-probabilities of what follows (said: batch, new, vocabulary); the caches
    with the new tokens, the coverage with each of them (grown_i); and the cross-attention of the
    last layer (looked: batch, heads, new, cells).
    """
    decoder = model.decoder
    layers = layers_of(model)
    width, heads = decoder.width, layers[0].heads
    graph = _Graph()
    flat = graph.constant("flat", np.array([-1, width]))
    shape = graph("Shape", "tokens")
    split, triple = (
        graph("Concat", shape, graph.constant(f"sides_{len(sides)}", np.array(sides)), axis=0)
        for sides in ((heads, width // heads), (3, heads, width // heads))
    )
    scale = graph.constant("scale", np.float32((width // heads) ** -0.5))
    parts = [graph.constant(f"part_{i}", np.array(i)) for i in range(3)]
    x = _embedded(graph, decoder.embed, width, flat)
    covering = count(2 * len(layers))
    for index, layer in enumerate(layers):
        name = f"decoder.layers.{index}"
        # Self-attention over the tokens before.
        projected = graph.linear(
            graph.norm(x, layer.norm_self, f"{name}.norm_self"),
            layer.self_project,
            f"{name}.self_project",
        )
        stacked = graph("Transpose", graph("Reshape", projected, triple), perm=[2, 0, 3, 1, 4])
        query, key, value = (graph("Gather", stacked, part, axis=0) for part in parts)
        keys, values = (
            graph("Concat", f"past_{cache}", new, out=f"grown_{cache}", axis=2)
            for cache, new in ((2 * index, key), (2 * index + 1, value))
        )
        logits = graph("Add", _product(graph, query, keys, scale), "seen")
        said = graph("MatMul", graph("Softmax", logits, axis=-1), values)
        x = graph("Add", x, _merged(graph, said, layer.self_merge, f"{name}.self_merge", flat))
        # Cross-attention over the cells.
        asked = graph.linear(
            graph.norm(x, layer.norm_cross, f"{name}.norm_cross"),
            layer.cross_query,
            f"{name}.cross_query",
        )
        query = graph("Transpose", graph("Reshape", asked, split), perm=[0, 2, 1, 3])
        logits = graph("Add", _product(graph, query, f"keys_{index}", scale), "bias")
        logits = _refined(graph, logits, layer.coverage, f"{name}.coverage", next(covering))
        last = index == len(layers) - 1
        weights = graph("Softmax", logits, axis=-1, **({"out": "looked"} if last else {}))
        said = graph("MatMul", weights, f"values_{index}")
        x = graph("Add", x, _merged(graph, said, layer.cross_merge, f"{name}.cross_merge", flat))
        # Feed-forward.
        hidden = graph.linear(
            graph.norm(x, layer.norm_forward, f"{name}.norm_forward"),
            layer.forward_in,
            f"{name}.forward_in",
        )
        answer = graph.linear(graph("Gelu", hidden), layer.forward_out, f"{name}.forward_out")
        x = graph("Add", x, answer)
    said = graph.linear(graph.norm(x, decoder.norm, "decoder.norm"), decoder.head, "decoder.head")
    classes = graph.constant("classes", np.array([decoder.head.out_features]))
    logarithms = graph("LogSoftmax", said, axis=-1)
    graph("Reshape", logarithms, graph("Concat", shape, classes, axis=0), out="said")
    return _model(graph, model)


def _embedded(graph: _Graph, embed: nn.Embedding, width: int, flat: str) -> str:
    """The tokens with their position code, (rows, width)."""
    pairs = np.arange(0, width, 2, dtype=np.float32)
    waves = np.exp(pairs * np.float32(-math.log(10_000.0) / width)).repeat(2)
    # The cosine is a sine that is a quarter ahead.
    phase = np.tile(np.array([0.0, math.pi / 2], np.float32), width // 2)
    column = graph.constant("column", np.array([-1, 1]))
    depth = graph("Cast", graph("Reshape", "depth", column), to=graph.onnx.TensorProto.FLOAT)
    angles = graph("Mul", depth, graph.constant("waves", waves))
    code = graph("Sin", graph("Add", angles, graph.constant("phase", phase)))
    table = graph.weight("decoder.embed.weight", embed.weight)
    found = graph("Reshape", graph("Gather", table, "tokens", axis=0), flat)
    root = graph.constant("root", np.float32(width**0.5))
    return graph("Add", graph("Mul", found, root), code)


def _product(graph: _Graph, query: str, keys: str, scale: str) -> str:
    """Scaled products of queries and keys; onnxruntime makes one operator of the three."""
    turned = graph("Transpose", keys, perm=[0, 1, 3, 2])
    return graph("MatMul", graph("Mul", query, scale), turned)


def _merged(graph: _Graph, said: str, layer: nn.Linear, name: str, flat: str) -> str:
    """Answers of the heads (batch, heads, new, width / heads), merged: (rows, width)."""
    rows = graph("Reshape", graph("Transpose", said, perm=[0, 2, 1, 3]), flat)
    return graph.linear(rows, layer, name)


def _refined(
    graph: _Graph, logits: str, coverage: CoverageRefinement, name: str, cache: int
) -> str:
    """Logits lowered by what the coverage says (`CoverageRefinement`), cells as columns."""
    weights = graph("Softmax", logits, axis=-1)
    before = graph("Add", f"past_{cache}", graph("MatMul", "above", weights))
    graph("Add", before, weights, out=f"grown_{cache}")
    into, bias, out = (
        graph.weight(f"{name}.{part}", value)
        for part, value in (
            ("hidden.weight", coverage.hidden.weight),
            ("hidden.bias", coverage.hidden.bias),
            ("project.weight", coverage.project.weight),
        )
    )
    # Convolutions of 1 x 1, which take their bias and activation with them.
    stretched = graph("Mul", into, graph.constant("stretch", np.float32(COVERAGE_SCALE)))
    filters = [
        graph("Unsqueeze", weight, graph.constant("sides", np.array([2, 3])))
        for weight in (stretched, out)
    ]
    hidden = graph("Relu", graph("Conv", before, filters[0], bias))
    return graph("Sub", logits, graph("Conv", hidden, filters[1]))


def _model(graph: _Graph, model: MaskMatch) -> Any:
    """The model around the operators, its inputs and outputs with named sides."""
    helper, kinds = graph.onnx.helper, graph.onnx.TensorProto
    layers = layers_of(model)
    heads, part = layers[0].heads, model.decoder.width // layers[0].heads
    cells: list[int | str] = ["batch", heads, "cells", part]
    memory = [f"{kind}_{i}" for kind in ("keys", "values") for i in range(len(layers))]
    sides: dict[str, Sequence[int | str]] = {
        "tokens": ["batch", "new"],
        "depth": ["batch", "new"],
        "seen": ["batch", 1, "new", "places + new"],
        "above": ["batch", 1, "new", "new"],
        **dict.fromkeys(memory, cells),
        "bias": ["batch", 1, 1, "cells"],
        "said": ["batch", "new", model.decoder.head.out_features],
        "looked": ["batch", heads, "new", "cells"],
    }
    for i, shape in enumerate(cache_shapes(model)):
        sides[f"past_{i}"] = shape
        sides[f"grown_{i}"] = ["places + new" if side == "places" else side for side in shape]
    inputs, outputs = (
        [
            helper.make_tensor_value_info(
                name, kinds.INT64 if name in ("tokens", "depth") else kinds.FLOAT, sides[name]
            )
            for name in names
        ]
        for names in step_names(model, [*memory, "bias"])
    )
    made = helper.make_graph(graph.nodes, "step", inputs, outputs, list(graph.constants.values()))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)


_IR = 10
"""Version of the format that onnxruntime has read for long."""
