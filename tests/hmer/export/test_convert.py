"""The ONNX files themselves: what a program in another language will find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hmer.export.convert import quantise
from hmer.export.step_graph import OPSET

pytestmark = pytest.mark.medium


def sides(tensor: Any) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]


def test_sides_that_vary_have_names(exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    encoder, step = (onnx.load(exported / f"{name}.onnx") for name in ("encoder", "step"))
    for graph in (encoder, step):
        onnx.checker.check_model(graph, full_check=True)
        assert [(o.domain, o.version) for o in graph.opset_import] == [("", OPSET)]
    found = {t.name: sides(t) for t in (*encoder.graph.input, *encoder.graph.output)}
    assert found == {
        "images": ["batch", 1, "8*rows", "8*columns"],
        "keys_0": ["batch", 2, "cells", 8],
        "values_0": ["batch", 2, "cells", 8],
        "bias": ["batch", 1, 1, "cells"],
        "attention": ["batch", "rows", "columns"],
        "cells": ["batch", "cells"],
    }
    found = {t.name: sides(t) for t in (*step.graph.input, *step.graph.output)}
    assert found == {
        "tokens": ["batch", "new"],
        "depth": ["batch", "new"],
        "seen": ["batch", 1, "new", "places + new"],
        "above": ["batch", 1, "new", "new"],
        "keys_0": ["batch", 2, "cells", 8],
        "values_0": ["batch", 2, "cells", 8],
        "bias": ["batch", 1, 1, "cells"],
        "past_0": ["batch", 2, "places", 8],
        "past_1": ["batch", 2, "places", 8],
        "past_2": ["batch", 2, "new", "cells"],
        "said": ["batch", "new", 113],
        "grown_0": ["batch", 2, "places + new", 8],
        "grown_1": ["batch", 2, "places + new", 8],
        "grown_2": ["batch", 2, "new", "cells"],
        "looked": ["batch", 2, "new", "cells"],
    }


def test_nothing_tells_of_the_machine(exported: Path) -> None:
    for name in ("encoder", "step"):
        data = (exported / f"{name}.onnx").read_bytes()
        assert b".py" not in data and b"site-packages" not in data


def test_matrices_become_bytes(exported: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    plain = onnx.load(exported / "step.onnx")
    names = [node.op_type for node in plain.graph.node]
    quantise(plain, tmp_path / "step.onnx")
    graph = onnx.load(tmp_path / "step.onnx").graph
    # What is looked at is not a weight: the products of attention and coverage stay.
    found = [node.op_type for node in graph.node]
    assert found.count("MatMul") == names.count("MatMul") == 5
    assert found.count("MatMulInteger") == names.count("Gemm") == 7
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and t.dims]
    largest = [
        abs(onnx.numpy_helper.to_array(t).astype(int)).max() for t in weights if len(t.dims) == 2
    ]
    assert largest and max(largest) <= 64
