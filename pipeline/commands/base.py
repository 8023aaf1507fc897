"""What every command has: the project's environment, one-line errors, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, ParamSpec

import typer

from hmer.errors import HmerError
from pipeline.environment import apply_environment, project_root, secure_dvc
from pipeline.interruption import Interruption

Parameters = ParamSpec("Parameters")

Config = Annotated[
    str | None, typer.Option("--config", help="configuration from configs/ to write first")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="parameter to set first; may be repeated"),
]


def command(act: Callable[Parameters, int | None]) -> Callable[Parameters, None]:
    """A command with the project's environment, one-line errors and an exit code."""

    @wraps(act)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        interruption = Interruption()
        interruption.listen()
        try:
            apply_environment(project_root())
            secure_dvc(project_root())
            code = act(*args, **kwargs) or 0
        except HmerError as error:
            sys.stderr.write(f"error: {error}\n")
            code = int(getattr(error, "exit_code", 2))
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; run it again to go on from where it was\n")
            code = 130
        raise typer.Exit(interruption.exit_code or code)

    return run
