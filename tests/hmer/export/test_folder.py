"""Writing the folder: all of it or nothing. The graphs here are stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hmer.errors import HmerError
from hmer.export import folder
from hmer.export.folder import digest, export
from hmer.models.checkpoint import load_recogniser


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs that cost no time to make."""
    onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph)
    for name in ("convert_encoder", "convert_step"):
        monkeypatch.setattr(folder, name, lambda _: model)


def write(model_folder: Path, out: Path, **changes: Any) -> None:
    read = load_recogniser(model_folder)
    export(read.model, read.reads, out, **({"int8": False} | changes))


def listing(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_what_is_written(stand_ins: None, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "exported"
    write(model_folder, out)
    assert listing(out) == ["encoder.onnx", "model.json", "step.onnx"]
    assert listing(out.parent) == ["exported"]
    about = json.loads((out / "model.json").read_text(encoding="utf-8"))
    source = json.loads((model_folder / "model.json").read_text(encoding="utf-8"))
    for name in ("name", "render", "vocabulary"):
        assert about[name] == source[name]
    given = ["tokens", "depth", "seen", "above", "keys_0", "values_0", "bias"]
    assert about["step"]["inputs"] == [*given, "past_0", "past_1", "past_2"]
    assert about["step"]["outputs"] == ["said", "grown_0", "grown_1", "grown_2", "looked"]
    assert about["encoder"]["outputs"] == ["keys_0", "values_0", "bias", "attention", "cells"]
    keys, values, covered = about["past"]
    assert keys == values == ["batch", 2, "places", 8]
    assert covered == ["batch", 2, "new", "cells"]
    assert (about["stride"], about["opset"], about["int8"]) == (8, 20, False)
    assert about["sha256"] == {n: digest(out / n) for n in ("encoder.onnx", "step.onnx")}


def test_an_earlier_export_is_replaced(stand_ins: None, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    write(model_folder, out)
    (out / "step.onnx").write_bytes(b"old")
    write(model_folder, out)
    assert (out / "step.onnx").read_bytes() != b"old"
    assert listing(tmp_path) == ["exported"]


def test_other_files_stay(stand_ins: None, own_model: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in own_model.iterdir()}
    with pytest.raises(HmerError, match=r"holds other files \(model.safetensors\)"):
        write(own_model, own_model)
    assert {path.name: path.read_bytes() for path in own_model.iterdir()} == before
    (own_model / "notes").touch()
    with pytest.raises(HmerError, match="is a file"):
        write(own_model, own_model / "notes")
    (own_model / "model.safetensors").rename(tmp_path / "model.safetensors")
    (own_model / "notes").unlink()
    with pytest.raises(HmerError, match=r"holds other files \(model.json\)"):
        read = load_recogniser(tmp_path_model(own_model, tmp_path))
        export(read.model, read.reads, own_model, int8=False)


def tmp_path_model(own_model: Path, tmp_path: Path) -> Path:
    """The weights again with a copy of their description."""
    (tmp_path / "model.json").write_bytes((own_model / "model.json").read_bytes())
    return tmp_path / "model.safetensors"


def test_a_failure_leaves_nothing(
    stand_ins: None, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "exported"
    write(model_folder, out)
    before = digest(out / "model.json")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "describe", fail)
    for place in (out, tmp_path / "other"):
        with pytest.raises(HmerError, match=r"cannot be written \(No space left on device\)"):
            write(model_folder, place)
    assert listing(tmp_path) == ["exported"]
    assert digest(out / "model.json") == before
