"""The command line: `hmer recognize picture.png`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.errors import HmerError

DEFAULT_MODEL = Path("data/models/champion")
"""Where the pipeline puts the champion, seen from the project's folder."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Handwritten mathematics to LaTeX.",
    pretty_exceptions_enable=False,
)


@app.callback()
def _about() -> None:
    """Handwritten mathematics to LaTeX."""


@app.command()
def recognize(
    files: Annotated[list[Path], typer.Argument(help="Pictures (PNG, JPEG, ...) or InkML files.")],
    model: Annotated[
        Path | None,
        typer.Option(help=f"Model folder; else $HMER_MODEL, else {DEFAULT_MODEL}."),
    ] = None,
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
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

    chosen = model or Path(os.environ.get("HMER_MODEL", DEFAULT_MODEL))
    recognizer = Recognizer.load(chosen)
    failed = False
    for file in files:
        try:
            found = recognizer.recognize(file, DecodingConfig(beam=beam))
        except HmerError as error:
            failed = True
            sys.stderr.write(f"error: {error}\n")
            continue
        if as_json:
            answer = {
                "file": str(file),
                "latex": found.latex,
                "confidence": round(found.confidence, 4),
                "alternatives": [
                    {"latex": " ".join(tokens), "confidence": round(confidence, 4)}
                    for tokens, confidence in found.alternatives
                ],
            }
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(found.latex + "\n")
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; mistakes are told in one line."""
    try:
        app()
    except HmerError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
