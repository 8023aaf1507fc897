"""The command line: `hmer recognize picture.png`; the commands are in `hmer.commands`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from hmer import __version__
from hmer.commands.average import average
from hmer.commands.calibrate import calibrate
from hmer.commands.compare import compare
from hmer.commands.evaluate import evaluate
from hmer.commands.export import export
from hmer.commands.models import models
from hmer.commands.recognize import recognize
from hmer.commands.serve import demo, serve
from hmer.commands.write import write
from hmer.errors import HmerError

_EXTRAS = {
    "torch": "train", "torchvision": "train", "lightning": "train", "pandas": "train",
    "pyarrow": "train", "rapidfuzz": "train", "HersheyFonts": "train", "matplotlib": "train",
    "jinja2": "train", "onnx": "export", "onnxscript": "export",
    "fastapi": "serve", "uvicorn": "serve", "prometheus_client": "serve",
}  # fmt: skip
"""Packages that the base lacks, and the extra that brings each."""

app = typer.Typer(
    no_args_is_help=True,
    help="Handwritten mathematics to LaTeX.",
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # `hmer[serve]` is no markup
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hmer {__version__}\n")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show where in the program an error arose.")] = False,
) -> None:
    """Handwritten mathematics to LaTeX.

    Exit status: 0 all is well; 1 some files could not be read; 2 a mistake in the call, or
    something is missing.
    """


for command in (
    average,
    calibrate,
    compare,
    demo,
    evaluate,
    export,
    models,
    recognize,
    serve,
    write,
):
    app.command()(command)


def main() -> None:
    """Run the command line; mistakes are told in one line."""
    # Reading is many small steps: where other work holds a core, threads that wait for each other
    # in a loop burn ten times the processor time of the reading.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.stdout is None:  # closed by who started us; ours alone: it stays open to the end
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    try:
        app()
    except (HmerError, OSError, ImportError) as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error.__cause__, KeyboardInterrupt):
            sys.exit(130)  # interrupted while a compiled package was loading
        sys.stderr.write(f"error: {_reason(error)}\n")
        sys.exit(2)


def _reason(error: HmerError | OSError | ImportError) -> str:
    """One line."""
    if isinstance(error, OSError):  # a file to write whose folder is not there, a full disk
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, ImportError):
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise error
        return f"this needs {error.name}: pip install 'hmer[{extra}]'"
    return str(error)
