"""`python -m pipeline`: run, schedule and look after the pipeline.

What is heavy is imported where it is used: `--help` and mistakes are answered at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from hmer.errors import HmerError
from pipeline.env import apply_environment, project_root, secure_dvc
from pipeline.process import Interruption

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.registry.versions import Act

Parameters = ParamSpec("Parameters")

Config = Annotated[
    str | None, typer.Option("--config", help="configuration from configs/ to write first")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="parameter to set first; may be repeated"),
]
Why = Annotated[str, typer.Option(help="the reason, for the audit trail")]
Who = Annotated[str | None, typer.Option(help="who decides; default: git's user")]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def command(act: Callable[Parameters, int | None]) -> Callable[Parameters, int | None]:
    """Register a command: with the project's environment, one-line errors and an exit code."""

    @wraps(act)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        interruption = Interruption()
        interruption.listen()
        try:
            apply_environment(project_root())
            secure_dvc(project_root())
            code = act(*args, **kwargs) or 0
        except HmerError as error:
            typer.echo(f"error: {error}", err=True)
            code = int(getattr(error, "exit_code", 2))
        except KeyboardInterrupt:
            typer.echo("interrupted; run it again to go on from where it was", err=True)
            code = 130
        raise typer.Exit(interruption.exit_code or code)

    app.command()(run)
    return act


@command
def run(
    config: Config = None,
    settings: Settings = None,
    prefect: Annotated[
        bool, typer.Option(help="as a Prefect flow, or as plain `dvc repro`")
    ] = True,
) -> int:
    """Bring everything up to date: run the stages whose inputs have changed."""
    from pipeline.report import write_page

    try:
        code = (as_flow if prefect else as_repro)(config, tuple(settings or ()))
    finally:
        write_page(project_root())
    if not code:
        summary()
    return code


def as_flow(config: str | None, settings: tuple[str, ...]) -> int:
    """The Prefect flow; its exit code is that of the stage that failed."""
    from pipeline.configure import composed
    from pipeline.process import guard

    # Prefect takes seconds to start, and wraps what goes wrong in a page of traceback.
    composed(project_root(), config, settings)
    guard()
    from pipeline.flow.flow import StageFailed, pipeline_flow, tagged

    with tagged(project_root()):
        state = pipeline_flow(config, settings, return_state=True)
    if state.is_completed():
        return 0
    error = state.result(raise_on_failure=False)
    if isinstance(error, KeyboardInterrupt):
        raise error
    typer.echo(f"error: {error if isinstance(error, HmerError) else state.message}", err=True)
    return error.exit_code if isinstance(error, StageFailed) and error.exit_code > 0 else 1


class ReproFailed(HmerError):
    """`dvc repro` has failed, with a message of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(f"dvc repro ended with code {code}")
        self.exit_code = code if code > 0 else 1


def as_repro(config: str | None, settings: tuple[str, ...]) -> int:
    """Plain `dvc repro`.

    Raises:
        ReproFailed: it did not end well.
    """
    from pipeline.configure import prepare
    from pipeline.dvcfile import DVC, to_do
    from pipeline.env import FLOW_LOCK
    from pipeline.process import guard, hold, run_group
    from pipeline.tracking.runs import parent_run

    root = project_root()
    with hold(root / FLOW_LOCK, "the pipeline"):
        prepare(root, config, settings)
        guard()
        changed = bool(to_do(root))
        with parent_run(root, {"stage": "pipeline"}) if changed else nullcontext():
            if code := run_group([*DVC, "--wait-for-lock", "repro"], root):
                raise ReproFailed(code)
    return 0


@command
def serve(
    cron: Annotated[str | None, typer.Option(help='when to run, e.g. "0 3 * * *"')] = None,
    timezone: Annotated[
        str | None, typer.Option(help="of --cron, e.g. Europe/Berlin  [default: this machine's]")
    ] = None,
    on_new_data: Annotated[
        bool, typer.Option("--on-new-data", help="run when the raw data have changed")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, help="seconds between two looks at the raw data")
    ] = 60.0,
    config: Config = None,
    settings: Settings = None,
) -> None:
    """Run on a schedule, on new data, or both, one run at a time, until interrupted."""
    from pipeline.flow.serve import serve_on

    if cron is None and not on_new_data:
        raise HmerError("say when to run: --cron LINE, --on-new-data, or both")
    serve_on(cron, timezone, every if on_new_data else None, config, tuple(settings or ()))


@command
def trigger() -> None:
    """Ask whoever serves the pipeline for a run at once."""
    from pipeline.flow.serve import trigger

    trigger()
    typer.echo("a run has been asked for")


@command
def monitor(
    folder: Annotated[Path, typer.Argument(help="recent pictures or InkML")],
    retrain: Annotated[
        bool, typer.Option(help="on drift, ask the served deployment for a run")
    ] = True,
    here: Annotated[bool, typer.Option("--run", help="on drift, run the pipeline here")] = False,
) -> int:
    """Compare recent input with the data set; exit code 5 where it has drifted."""
    from hmer.progress import Steps
    from pipeline.monitor import DRIFTED, REPORT, monitor

    root = project_root()
    with Steps("monitor", None, True, " expressions") as steps:
        drift = monitor(root, folder, lambda what, done: steps.update(done, note=what))
    moved = [finding.name for finding in drift.findings if finding.drifted]
    verdict = f"drift in {', '.join(moved)}" if moved else "no drift"
    typer.echo(f"{drift.read} read: {verdict}; see {REPORT}/index.html")
    if not drift.drifted:
        return 0
    if here:
        run()
    elif retrain:
        from pipeline.dvcfile import to_do
        from pipeline.flow.serve import trigger

        try:
            idle = not to_do(root)
            trigger()
            typer.echo("retraining has been asked for")
            if idle:
                typer.echo(
                    "neither data nor parameters have changed since the last run, so it will find "
                    "nothing to do: put captioned examples of such input into the raw data"
                )
        except HmerError as error:
            typer.echo(f"warning: not retrained: {error}", err=True)
    return DRIFTED


@command
def configure(
    name: Annotated[str | None, typer.Argument(help="configuration from configs/")] = None,
    settings: Settings = None,
) -> None:
    """Write params.yaml: the default, patched by a configuration and by settings."""
    from pipeline.configure import FOLDER, configure
    from pipeline.params import named_files

    root = project_root()
    if name is None and not settings:
        typer.echo("\n".join(named_files(root / FOLDER)))
        return
    configure(root, name, settings or ())


@command
def check() -> None:
    """Check params.yaml without running anything."""
    from pipeline.configure import load_params

    load_params(project_root() / "params.yaml")


@command
def summary() -> None:
    """Print what came out of the last run."""
    from pipeline.report import summary

    typer.echo(summary(project_root()))


@command
def report() -> None:
    """Write reports/index.html: scores, decision and data gate of the last run on one page."""
    from pipeline.report import write_page

    typer.echo(str(write_page(project_root())))


@command
def study(
    name: Annotated[str | None, typer.Argument(help="study from configs/studies")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT", help="variant; may be repeated")
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option(min=0, help="in place of the study's; may be repeated")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="experiments at a time; they share cores")] = 1,
    settings: Settings = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="count what earlier code has finished")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what would be done")] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="tables and figure of what is finished")
    ] = False,
) -> int:
    """Run an ablation as DVC experiments, or go on with it, and write its table and figure."""
    from pipeline.params import named_files
    from pipeline.study.config import FOLDER, load_study

    root = project_root()
    if name is None:
        for known in named_files(root / FOLDER):
            found = load_study(root, known)
            count = f"{len(found.variants)} variants, {len(found.seeds)} seeds"
            typer.echo(f"{known}: {found.title} ({count})")
        return 0
    load_study(root, name)  # its mistakes are reported before anything heavy is imported
    from pipeline.study.run import study

    act = "list" if dry_run else "report" if report_only else "run"
    return study(
        root, name, only=only or (), seeds=seeds or None, settings=tuple(settings or ()),
        jobs=jobs, keep=keep, act=act, say=typer.echo,
    )  # fmt: skip


@command
def champion() -> None:
    """Fetch the registry's champion into data/models/champion, for `hmer recognize`."""
    from pipeline.registry.versions import fetch

    root = project_root()
    typer.echo(str(fetch(*registered(root), root)))


@command
def promote(
    version: Annotated[str, typer.Argument(help="number of the version, or challenger")],
    why: Why,
    who: Who = None,
) -> None:
    """Make a version champion, whatever the gate decided."""
    from pipeline.registry.versions import find_version

    client, name = registered(project_root())
    promoted(client, name, int(find_version(client, name, version).version), "promote", who, why)


@command
def rollback(why: Why, who: Who = None) -> None:
    """Make the champion before this one champion again."""
    from pipeline.registry.versions import champion_history, trail

    client, name = registered(project_root())
    earlier = champion_history(trail(client, name))[:-1]
    if not earlier:
        raise HmerError(f"{name} has no earlier champion to go back to; see `audit`")
    promoted(client, name, earlier[-1], "rollback", who, why)


def promoted(
    client: MlflowClient, name: str, version: int, what: Act, who: str | None, why: str
) -> None:
    """Make a version champion by hand, and fetch it."""
    from pipeline.registry.register import make_champion
    from pipeline.registry.versions import fetch, person

    root = project_root()
    make_champion(client, name, version, what, who or person(root), why)
    typer.echo(f"{name} version {version} is champion: {fetch(client, name, root)}")


@command
def audit() -> None:
    """List who made which version champion, when and why."""
    from pipeline.registry.versions import trail

    client, name = registered(project_root())
    for done in trail(client, name):
        typer.echo(done.line())


@command
def reproduce(
    version: Annotated[str, typer.Argument(help="number, or champion, or challenger")],
    into: Annotated[
        Path | None, typer.Option(help="folder for the worktree, which is then kept")
    ] = None,
) -> int:
    """Make the weights of a registered version again, and compare them byte for byte."""
    from pipeline.registry.reproduce import recipe, reproduce
    from pipeline.registry.versions import find_version

    root = project_root()
    client, name = registered(root)
    found = find_version(client, name, version)
    same, told = reproduce(recipe(client, root, found), root, into)
    typer.echo(told)
    return 0 if same else 1


@command
def relocate() -> None:
    """Bring the tracking store of a project that was moved or copied up to date with its place."""
    from pipeline.tracking.store import connect

    # Every command that opens the store does it; MLflow's own user interface does not.
    connect(project_root())


@command
def ship(
    model: Annotated[Path, typer.Option(help="folder of the recogniser")] = Path(
        "data/models/finetune"
    ),
    evaluation: Annotated[Path, typer.Option(help="its metrics by set")] = Path(
        "reports/evaluation.json"
    ),
    notes: Annotated[
        Path | None, typer.Option(help="Markdown for the card: data, cost, limits")
    ] = None,
) -> None:
    """Put a trained recogniser into the package, for everyone: half precision, with a card."""
    from pipeline.dvcfile import SHIPPED
    from pipeline.registry.shipping import ship

    try:
        text = notes.read_text(encoding="utf-8") if notes else ""
    except OSError as error:
        raise HmerError(f"--notes: {notes} cannot be read ({error.strerror})") from None
    root = project_root()
    typer.echo(str(ship(root / model, root / evaluation, root / SHIPPED, text)))


def registered(root: Path) -> tuple[MlflowClient, str]:
    """The registry's client, and the name of the model in the parameters."""
    from pipeline.dvcfile import PARAMS
    from pipeline.params import load_section
    from pipeline.registry.decision import RegisterConfig
    from pipeline.tracking.store import connect

    client, _ = connect(root)
    return client, load_section(root / PARAMS, "register", RegisterConfig).name
