"""PyTorch graphs to ONNX, in full precision or with weights of 8 bits."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hmer.errors import HmerError
from hmer.export.runtime import BESIDE, Source
from hmer.export.step_graph import OPSET
from hmer.extra import require
from hmer.models.base import Recogniser
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.models.common.lone_symbol import pooled
from hmer.models.mask_match import MaskMatch


def exportable(model: Recogniser) -> MaskMatch:
    """The model, if there are graphs of it. Raises HmerError: there are none."""
    if not isinstance(model, MaskMatch):
        raise HmerError(
            f"a {type(model).__name__} recogniser cannot be exported, only a mask-match one; "
            "choose one with --model"
        )
    return model


def ink_first(chosen: Tensor) -> Cells:
    """`Cells.where` with a top-k in place of the sort, and without rounding the number up.

    Of `chosen`, bool (B, h, w), at least two cells each, filled up to the longest of the batch.
    """
    height, width = chosen.shape[1:]
    flat = chosen.flatten(1)
    cells = flat.shape[1]
    # At least two: the tracer takes a length of 1 for a constant.
    longest = cast(int, flat.sum(dim=1).max().clamp(min=2).item())
    torch._check(longest >= 2)  # type: ignore[no-untyped-call]
    torch._check(longest <= cells)  # type: ignore[no-untyped-call]
    # No two keys are equal; those of chosen cells are positive, the first cell's the largest.
    key = torch.arange(cells, 0, -1, device=chosen.device)
    index = torch.where(flat, key, -key).topk(longest, dim=1).indices
    valid = flat.gather(1, index)
    return Cells(index.masked_fill(~valid, 0), valid, (height, width))


class EncoderGraph(nn.Module):
    """`MaskMatch.encode` from tensor to tensors, with its own parts.

    Only ink cells are gathered in another way (`ink_first`): ONNX has no stable sort.
    """

    def __init__(self, model: MaskMatch) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Read images, float (B, 1, H, W), ink 1 on 0, sides multiples of the stride.

        Returns:
            Keys of every layer, then values of every layer, each (B, heads, N, width / heads),
            then the bias (B, 1, 1, N), then the attention map (B, h, w), then the numbers of the
            cells (B, N) in that map; 0 for padding. Then, if there is a classifier of single
            symbols, its logits (B, 2, vocabulary).
        """
        model = self.model
        features = cast(Tensor, model.encoder(images))
        cells = ink_first(ink_cells(images, model.stride))
        attended = model.attention(features, cells, cells.valid)
        content = cast(Tensor, model.adapt(attended.features))
        bias = model.strength * attended.log_map.masked_fill(~cells.valid, 0.0)
        bias = bias.masked_fill(~cells.valid, -torch.inf)
        memory = model.decoder.remember(content, cells.code(content.shape[-1]), bias)
        # Padding has an index of 0 and a share of 0.
        height, width = cells.grid
        blank = bias.new_zeros(bias.shape[0], height * width)
        shown = blank.scatter_add(1, cells.index, attended.log_map.exp())
        spatial = shown.unflatten(1, (height, width))
        found = (*memory.keys, *memory.values, memory.bias, spatial, cells.index)
        if model.lone_symbol is None:
            return found
        seen = pooled(cells.gather(features), attended.features, cells.valid)
        return *found, cast(Tensor, model.lone_symbol(seen))


def memory_names(model: MaskMatch) -> list[str]:
    """The first outputs of the encoder, in the order of `EncoderGraph`, which go into a step."""
    layers = range(len(model.decoder.layers))
    return [*(f"{part}_{layer}" for part in ("keys", "values") for layer in layers), "bias"]


def encoder_names(model: MaskMatch) -> list[str]:
    """Outputs of the encoder in the order of `EncoderGraph`."""
    return [*memory_names(model), *BESIDE[: 2 + (model.lone_symbol is not None)]]


def convert_encoder(model: MaskMatch) -> Any:
    """The encoder as an ONNX model (`onnx.ModelProto`)."""
    dim = torch.export.Dim
    images = torch.zeros(3, 1, 4 * model.stride, 5 * model.stride)
    images[:, :, : model.stride, : 3 * model.stride] = 1.0
    sides = {axis: model.stride * dim(name, min=2) for axis, name in ((2, "rows"), (3, "columns"))}
    return _convert(
        EncoderGraph(model),
        (images,),
        ({0: dim("batch"), **sides},),
        ["images"],
        encoder_names(model),
        {"images": {0: "batch", 2: "rows", 3: "columns"}, "bias": {3: "cells"}},
    )


def without_weights(proto: Any, state: Mapping[str, Tensor]) -> dict[str, Source]:
    """Take out of a graph (an ONNX model), in place, what can be computed from weights by name.

    Returns:
        Where each tensor that the graph now lacks comes from.

    Raises:
        HmerError: more than a few numbers come from elsewhere.
    """
    onnx = require("onnx")
    arrays = {name: x.detach().cpu().numpy() for name, x in state.items() if x.dim()}
    found: dict[str, Source] = {}
    rest = 0
    for tensor in proto.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        source = _source(tensor.name, value, arrays) if value.dtype == np.float32 else None
        if source is None:
            rest += value.nbytes
            continue
        found[tensor.name] = source
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value="model.safetensors")
    if rest > _LARGEST_REST:
        raise HmerError(f"the graph has {rest} bytes of numbers that are no weights of the model")
    return found


_LARGEST_REST = 2**16


def _source(name: str, value: Any, arrays: Mapping[str, Any]) -> Source | None:
    """How a tensor comes from the weights: as it is, transposed, or a filter with its norm."""
    if value.size <= 1:
        return None
    for own, array in arrays.items():
        if array.shape == value.shape and np.array_equal(array, value):
            return Source(of=own)
        if array.ndim == 2 and array.T.shape == value.shape and np.array_equal(array.T, value):
            return Source(of=own, transposed=True)
    # The exporter calls the bias that a norm leaves after the filter.
    own = name.removeprefix("model.").removesuffix("_bias")
    for mean in arrays:
        norm = mean.removesuffix(".running_mean")
        if norm != mean and own in arrays and len(arrays[own]) == len(arrays[mean]):
            source = Source(of=own, norm=norm, bias=value.ndim == 1)
            made = source.compute(arrays)
            if made.shape == value.shape and np.allclose(made, value, rtol=1e-4, atol=1e-6):
                return source
    return None


def quantise(model: Any, path: Path) -> None:
    """Write an ONNX model whose matrices are int8, quantised per channel.

    Their inputs are quantised dynamically. 7 of the 8 bits are used: without VNNI, processors add
    pairs of products in 16 bits, which 8 would overflow. Filters stay as they are: integer
    convolutions are slower (benchmarks/export.py).
    """
    quantization = require("onnxruntime.quantization", extra="export")
    with _quiet():
        quantization.quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


def _convert(
    module: nn.Module,
    arguments: tuple[Any, ...],
    shapes: Any,
    names: Sequence[str],
    results: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> Any:
    """A module in evaluation mode as an ONNX model.

    `shapes` says which sides of the example arguments may vary, as `torch.export.export` wants it;
    `names` and `results` are inputs and outputs in order; `axes` name their sides that vary.
    """
    require("onnx", "onnxscript", extra="export")
    # With gradients: without, linear layers would be oneDNN's, which ONNX does not know.
    with _quiet(), torch.enable_grad():
        traced = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes, strict=False)
        program = torch.onnx.export(
            traced,
            input_names=names,
            output_names=results,
            opset_version=OPSET,
            verbose=False,
            custom_translation_table={
                torch.ops.aten.scaled_dot_product_attention.default: _attention,
                torch.ops.aten.remainder.Scalar: _remainder,
            },
        )
    assert program is not None
    proto = program.model_proto
    _forget(proto.graph)
    _name_axes(proto.graph, axes)
    return proto


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(query key^T / sqrt(d) + mask) value, for tensors of any rank.

    PyTorch's own translation knows rank 4 only, and guards against rows without any key.
    """
    op = require("onnxscript").opset20
    if is_causal or scale is not None or enable_gqa or dropout_p:
        raise ValueError("only plain attention is exported")
    rank, size = len(query.shape), query.shape[-1]
    turned = op.Transpose(key, perm=[*range(rank - 2), rank - 1, rank - 2])
    logits = op.MatMul(op.Mul(query, op.Constant(value_float=float(size) ** -0.5)), turned)
    if attn_mask is not None:
        logits = op.Add(logits, attn_mask)
    return op.MatMul(op.Softmax(logits, axis=-1), value)


def _remainder(x: Any, divisor: Any) -> Any:
    """x modulo a length of the graph, which PyTorch's own translation takes for a constant."""
    return require("onnxscript").opset20.Mod(x, divisor)


def _forget(graph: Any) -> None:
    """Drop what tells of this machine: the exporter notes the file and line of every operator."""
    del graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def _name_axes(graph: Any, axes: Mapping[str, Mapping[int, str]]) -> None:
    """Give the tracer's symbols (s34, u0) names, in expressions such as 8*s34 too."""
    tensors = {tensor.name: tensor for tensor in (*graph.input, *graph.output)}
    names = {
        _SYMBOL.findall(tensors[tensor].type.tensor_type.shape.dim[side].dim_param)[0]: name
        for tensor, sides in axes.items()
        for side, name in sides.items()
    }
    for tensor in tensors.values():
        for dim in tensor.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = _SYMBOL.sub(lambda found: names[found[0]], dim.dim_param)


_SYMBOL = re.compile(r"\b[su]\d+\b")


@contextmanager
def _quiet(loggers: Sequence[str] = ("torch.onnx", "onnxscript", "onnx_ir", "")) -> Iterator[None]:
    """Without the exporters' remarks about themselves."""
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in loggers]
    try:
        for logger, _ in before:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
