"""`hmer export`: a recogniser as ONNX."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.commands.output import check_folder
from hmer.commands.recognize import MODEL_HELP, chosen_model


def export(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier export is replaced.")],
    model: Annotated[Path | None, typer.Option(help=MODEL_HELP)] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Matrices of 8 bits: smaller, and almost as accurate.")
    ] = False,
) -> None:
    """Write encoder.onnx, step.onnx and model.json, for onnxruntime without PyTorch's help.

    `hmer recognize --model` and `hmer evaluate --model` take the folder like any other. Needs
    `pip install 'hmer[export]'`.
    """
    from hmer.export.folder import export as write
    from hmer.models.checkpoint import load_recogniser
    from hmer.recognizer import SHIPPED

    check_folder(out, "--out")
    saved = load_recogniser(chosen_model(model) or SHIPPED)
    write(saved.model, saved.reads, out, int8=int8)
    sizes = ", ".join(f"{p.name} {p.stat().st_size / 1e6:.2f} MB" for p in sorted(out.iterdir()))
    sys.stdout.write(f"{out}: {sizes}\n")
