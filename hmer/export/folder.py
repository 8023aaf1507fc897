"""Folders with graphs: those that `hmer export` writes, and model folders with graphs beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from hmer.export.convert import (
    convert_encoder,
    encoder_names,
    exportable,
    memory_names,
    quantise,
    without_weights,
)
from hmer.export.runtime import ABOUT, ENCODER, KIND, SECTION, STEP
from hmer.export.step_graph import OPSET, cache_shapes, convert_step, step_names
from hmer.extra import require
from hmer.files import atomic_folder
from hmer.models.about import About, read_about
from hmer.models.base import Recogniser
from hmer.models.checkpoint import load_recogniser
from hmer.models.mask_match import MaskMatch

RECOGNISER = "mask-match"


def export(
    model: Recogniser,
    reads: About,
    out: Path,
    *,
    int8: bool,
) -> None:
    """Write a recogniser as ONNX: all files, or none; an earlier export there is replaced.

    Raises:
        HmerError: a package is missing, the recogniser has no graphs, or `out` is in use.
    """
    chosen = exportable(model)
    require("torch", "onnx", "onnxscript", "onnxruntime", extra="export")
    _check_free(out)
    about = header(reads, int8=int8)
    write(convert(chosen), chosen, about, out, int8=int8)


def header(reads: About, *, int8: bool) -> dict[str, Any]:
    """What the JSON file of an export says besides its graphs; see `export`."""
    return {
        "kind": KIND,
        "name": RECOGNISER,
        "vocabulary": json.loads(reads.vocabulary.to_json()),
        "render": reads.render.model_dump(mode="json"),
        **reads.settings(),
        "int8": int8,
    }


def add_graphs(folder: Path) -> None:
    """Write graphs without weights into a model folder, which then reads without PyTorch, too.

    Raises:
        HmerError: a package is missing, or the recogniser has no graphs.
    """
    model = exportable(load_recogniser(folder).model.for_reading().eval())
    onnx = require("onnx", extra="export")
    graphs, lacking = convert(model), {}
    for name, graph in graphs.items():
        lacking[name] = without_weights(graph, model.state_dict())
        onnx.save_model(graph, folder / name)
    described = describe(model, folder)
    for part, name in (("encoder", ENCODER), ("step", STEP)):
        described[part]["weights"] = {
            tensor: source.model_dump(exclude_defaults=True)
            for tensor, source in lacking[name].items()
        }
    about = {**read_about(folder / ABOUT), SECTION: described}
    write_json(folder / ABOUT, about)


def convert(model: MaskMatch) -> dict[str, Any]:
    """Both graphs (`onnx.ModelProto`) by the names of their files."""
    return {ENCODER: convert_encoder(model), STEP: convert_step(model)}


def write(
    graphs: Mapping[str, Any],
    model: MaskMatch,
    about: Mapping[str, Any],
    out: Path,
    *,
    int8: bool,
) -> None:
    """Write graphs that `convert` has made of the model, with what is to be said of it."""
    _check_free(out)
    try:
        with atomic_folder(out.absolute()) as made:
            for name, graph in graphs.items():
                if int8:
                    quantise(graph, made / name)
                else:
                    require("onnx", extra="export").save_model(graph, made / name)
            write_json(made / ABOUT, {**about, **describe(model, made)})
    except OSError as error:
        raise HmerError(f"{out}: cannot be written ({error.strerror})") from error


def describe(model: MaskMatch, folder: Path) -> dict[str, Any]:
    """What a program must know to read with the graphs in `folder`."""
    inputs, outputs = step_names(model, memory_names(model))
    return {
        "stride": model.stride,
        "opset": OPSET,
        "sha256": {name: digest(folder / name) for name in (ENCODER, STEP)},
        "encoder": {"inputs": ["images"], "outputs": encoder_names(model)},
        "step": {"inputs": inputs, "outputs": outputs},
        "past": cache_shapes(model),
    }


def write_json(path: Path, about: Mapping[str, Any]) -> None:
    """Readable, and the same for the same content."""
    text = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_free(out: Path) -> None:
    """Raises HmerError if there is something that is not an earlier export."""
    if not out.exists():
        return
    if not out.is_dir():
        raise HmerError(f"{out}: is a file; name a new folder with --out")
    others = sorted({path.name for path in out.iterdir()} - {ENCODER, STEP, ABOUT})
    if others or (any(out.iterdir()) and not (out / ENCODER).is_file()):
        held = others[0] if others else ABOUT
        raise HmerError(f"{out}: holds other files ({held}); name a new folder with --out")
