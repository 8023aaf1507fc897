"""`hmer recognize`: pictures and ink files to LaTeX."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.errors import HmerError

if TYPE_CHECKING:
    from hmer.recognizer import Recognition

MODEL_HELP = "Model folder; else $HMER_MODEL, else the recogniser that comes with hmer."


def chosen_model(model: Path | None) -> Path | None:
    """The model folder to use: as given, else $HMER_MODEL; None: the one that comes along."""
    named = os.environ.get("HMER_MODEL")
    return model or (Path(named) if named else None)


def recognize(
    files: Annotated[list[Path], typer.Argument(help="Pictures (PNG, JPEG, ...) or InkML files.")],
    model: Annotated[
        Path | None,
        typer.Option(help=MODEL_HELP),
    ] = None,
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
    grammar: Annotated[
        bool, typer.Option(help="Write only LaTeX that parses, whatever the model would like.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per file, with alternatives.")
    ] = False,
) -> None:
    """Print the LaTeX of each expression, one line per file.

    A file that cannot be read gives a message on standard error; the others are still read, and
    the exit status is 1.
    """
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.recognizer import Recognizer

    recognizer = Recognizer.load(chosen_model(model))
    decoding = DecodingConfig(beam=beam, grammar=grammar)
    failed = False
    for file in files:
        try:
            found = recognizer.recognize(file, decoding)
        except HmerError as error:
            failed = True
            sys.stderr.write(f"error: {error}\n")
            continue
        said = json.dumps(_answer(file, found), ensure_ascii=False) if as_json else found.latex
        sys.stdout.write(said + "\n")
    if failed:
        raise typer.Exit(1)


def _answer(file: Path, found: Recognition) -> dict[str, object]:
    return {
        "file": str(file),
        "latex": found.latex,
        "confidence": round(found.confidence, 4),
        "alternatives": [
            {"latex": " ".join(tokens), "confidence": round(confidence, 4)}
            for tokens, confidence in found.alternatives
        ],
    }
