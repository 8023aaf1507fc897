"""The folder that `hmer export` writes: two graphs, and a JSON file that says what they are."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from hmer.export.convert import (
    OPSET,
    cache_shapes,
    convert_encoder,
    convert_step,
    encoder_names,
    quantise,
)
from hmer.export.extra import require
from hmer.export.graphs import exportable
from hmer.export.runtime import ABOUT, ENCODER, KIND, STEP
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.models.mask_match import MaskMatch

RECOGNISER = "mask-match"


def export(
    model: Recogniser, vocabulary: Vocabulary, render: RenderConfig, out: Path, *, int8: bool
) -> None:
    """Write a recogniser as ONNX: all files, or none.

    Args:
        model: the recogniser.
        vocabulary: its tokens.
        render: the scale of what it reads.
        out: folder; it is created, and replaced if an earlier export is all that is in it.
        int8: quantise the matrices.

    Raises:
        HmerError: a package is missing, the recogniser has no graphs, or `out` is in use.
    """
    chosen = exportable(model)
    require("onnx", "onnxscript", "onnxruntime")
    _check_free(out)
    write(convert(chosen), chosen, vocabulary, render, out, int8=int8)


def convert(model: MaskMatch) -> dict[str, Any]:
    """Both graphs (`onnx.ModelProto`) by the names of their files."""
    return {ENCODER: convert_encoder(model), STEP: convert_step(model)}


def write(
    graphs: Mapping[str, Any],
    model: MaskMatch,
    vocabulary: Vocabulary,
    render: RenderConfig,
    out: Path,
    *,
    int8: bool,
) -> None:
    """Write graphs that `convert` has made of the model; see `export`."""
    _check_free(out)
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            made = Path(temporary) / out.name
            made.mkdir()
            for name, graph in graphs.items():
                if int8:
                    quantise(graph, made / name)
                else:
                    require("onnx").save_model(graph, made / name)
            about = describe(model, vocabulary, render, made, int8)
            text = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False)
            (made / ABOUT).write_text(text + "\n", encoding="utf-8")
            if out.exists():
                out.rename(Path(temporary) / "before")
            made.rename(out)
    except OSError as error:
        raise HmerError(f"{out}: cannot be written ({error.strerror})") from error


def describe(
    model: MaskMatch, vocabulary: Vocabulary, render: RenderConfig, folder: Path, int8: bool
) -> dict[str, Any]:
    """What a program must know to read with the graphs in `folder`."""
    memory = encoder_names(len(model.decoder.layers))[:-1]
    past = cache_shapes(model)
    return {
        "kind": KIND,
        "name": RECOGNISER,
        "vocabulary": json.loads(vocabulary.to_json()),
        "render": render.model_dump(mode="json"),
        "stride": model.stride,
        "opset": OPSET,
        "int8": int8,
        "sha256": {name: digest(folder / name) for name in (ENCODER, STEP)},
        "encoder": {"inputs": ["images"], "outputs": [*memory, "attention"]},
        "step": {
            "inputs": ["tokens", *memory, *(f"past_{i}" for i in range(len(past)))],
            "outputs": ["logits", *(f"grown_{i}" for i in range(len(past)))],
        },
        "past": past,
    }


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
