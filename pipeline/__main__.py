"""`python -m pipeline`: run, schedule and look after the pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from hmer.errors import HmerError
from pipeline.environment import apply_environment, project_root
from pipeline.interruption import Interruption

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
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
        apply_environment(project_root())
        interruption = Interruption()
        interruption.listen()
        try:
            code = act(*args, **kwargs) or 0
        except HmerError as error:
            sys.stderr.write(f"error: {error}\n")
            code = int(getattr(error, "exit_code", 2))
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; run it again to go on from where it was\n")
            code = 130
        raise typer.Exit(interruption.exit_code or code)

    return run


@app.command()
@command
def run(
    config: Config = None,
    settings: Settings = None,
    prefect: Annotated[
        bool, typer.Option(help="as a Prefect flow, or as plain `dvc repro`")
    ] = True,
) -> int:
    """Bring everything up to date: run the stages whose inputs have changed."""
    if prefect:
        code = _flow(config, tuple(settings or ()))
    else:
        code = _repro(config, tuple(settings or ()))
    if not code:
        _say_summary()
    return code


@app.command()
@command
def serve(
    cron: Annotated[str, typer.Option(help='when to run, e.g. "0 3 * * *"')],
    config: Config = None,
    settings: Settings = None,
) -> None:
    """Run on a schedule, one run at a time, until interrupted."""
    from pipeline.schedule import serve_on

    serve_on(cron, config, tuple(settings or ()))


@app.command()
@command
def configure(
    name: Annotated[str | None, typer.Argument(help="configuration from configs/")] = None,
    settings: Settings = None,
) -> None:
    """Write params.yaml: the default, patched by a configuration and by settings."""
    from pipeline.configurations import configurations, configure

    root = project_root()
    if name is None and not settings:
        sys.stdout.write("\n".join(configurations(root)) + "\n")
        return
    configure(root, name, settings or ())


@app.command()
@command
def check() -> None:
    """Check params.yaml without running anything."""
    from pipeline.params import load_params

    load_params(project_root() / "params.yaml")


@app.command()
@command
def summary() -> None:
    """Say what came out of the last run."""
    _say_summary()


@app.command()
@command
def champion() -> None:
    """Fetch the registry's champion into data/models/champion, for `hmer recognize`."""
    from pipeline.champion import fetch

    sys.stdout.write(f"{fetch(project_root())}\n")


@app.command()
@command
def deps(
    write: Annotated[bool, typer.Option("--write", help="bring dvc.yaml up to date")] = False,
) -> int:
    """Compare the code among the deps in dvc.yaml with what the stages import."""
    from pipeline.dependencies import outdated_deps, write_deps

    changed = (write_deps if write else outdated_deps)(project_root())
    if changed:
        sys.stdout.write(f"{'written' if write else 'out of date'}: {', '.join(changed)}\n")
    return 0 if write or not changed else 1


def _flow(config: str | None, settings: tuple[str, ...]) -> int:
    from pipeline.preparation import check

    # Prefect takes seconds to start, and wraps what goes wrong in a page of traceback.
    check(project_root(), config, settings)
    from pipeline.flow import StageFailed, pipeline_flow

    state = pipeline_flow(config, settings, return_state=True)
    if state.is_completed():
        return 0
    error = state.result(raise_on_failure=False)
    if isinstance(error, KeyboardInterrupt):
        raise error
    sys.stderr.write(f"error: {error if isinstance(error, HmerError) else state.message}\n")
    return error.exit_code if isinstance(error, StageFailed) and error.exit_code > 0 else 1


def _repro(config: str | None, settings: tuple[str, ...]) -> int:
    from pipeline.graph import DVC
    from pipeline.locks import hold
    from pipeline.preparation import prepare
    from pipeline.process import run_group
    from pipeline.resume import RESUME

    root: Path = project_root()
    with hold(root / RESUME / "flow.lock", "the pipeline"):
        prepare(root, config, settings)
        return run_group([*DVC, "--wait-for-lock", "repro"], root)


def _say_summary() -> None:
    from pipeline.summary import summary

    sys.stdout.write(summary(project_root()) + "\n")


if __name__ == "__main__":
    app()
