"""The command line: `hmer recognize picture.png`; the commands are in `hmer.commands`."""

from __future__ import annotations

import sys

import typer

from hmer.commands.compare import compare
from hmer.commands.evaluate import evaluate
from hmer.commands.export import export
from hmer.commands.models import models
from hmer.commands.recognize import recognize
from hmer.commands.write import write
from hmer.errors import HmerError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Handwritten mathematics to LaTeX.",
    pretty_exceptions_enable=False,
)


@app.callback()
def _about() -> None:
    """Handwritten mathematics to LaTeX."""


for command in (
    compare,
    evaluate,
    export,
    models,
    recognize,
    write,
):
    app.command()(command)


def main() -> None:
    """Run the command line; mistakes are told in one line."""
    try:
        app()
    except HmerError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except OSError as error:  # a file to write whose folder is not there, a full disk
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"error: {where}{error.strerror or error}\n")
        sys.exit(2)
