"""`hmer recognize`: pictures and ink files to LaTeX."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hmer.errors import HmerError

if TYPE_CHECKING:
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.recognizer import Recognition, Recognizer

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
    """Print the LaTeX of each expression, one line per file; "-" is standard input.

    Of several files, each line begins with the file's name. A file that cannot be read gives a
    message on standard error, and "not read" on its line (with --json "error"); the others are
    still read, and the exit status is 1.
    """
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.recognizer import Recognizer

    recognizer = Recognizer.load(chosen_model(model))
    decoding = DecodingConfig(beam=beam, grammar=grammar)
    failed = False
    for file in files:
        found, reason = _read(recognizer, file, decoding)
        failed |= found is None
        if as_json:
            answer = {"file": str(file), "error": reason} if found is None else _answer(file, found)
            _write(sys.stdout, json.dumps(answer))
        elif len(files) > 1:
            _write(sys.stdout, f"{file}: {'not read' if found is None else found.latex}")
        elif found is not None:
            _write(sys.stdout, found.latex)
    if failed:
        raise typer.Exit(1)


def _read(
    recognizer: Recognizer, file: Path, decoding: DecodingConfig
) -> tuple[Recognition | None, str]:
    """What was read, or None and why not; warnings and errors are told on standard error."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            source = sys.stdin.buffer if str(file) == "-" else file
            found, reason = recognizer.recognize(source, decoding), ""
        except HmerError as error:
            found, reason = None, str(error)
        except Exception as error:  # a bug: told as one, but the other files are still read
            _write(sys.stderr, traceback.format_exc().rstrip())
            found, reason = None, f"{file}: failed by a mistake of hmer's own, please report it"
            reason += f" ({type(error).__name__}: {error})"
    for warning in told:
        _write(sys.stderr, f"warning: {warning.message}")
    if reason:
        _write(sys.stderr, f"error: {reason}")
    return found, reason


def _write(stream: TextIO, line: str) -> None:
    """A line in the stream's encoding; signs that it lacks are escaped."""
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


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
