"""`python -m pipeline`: run, schedule and look after the pipeline."""

from __future__ import annotations

import typer

from pipeline.commands.base import command
from pipeline.commands.champion import champion
from pipeline.commands.configure import check, configure
from pipeline.commands.deps import deps
from pipeline.commands.monitor import monitor
from pipeline.commands.promote import audit, promote, relocate, rollback
from pipeline.commands.report import report
from pipeline.commands.reproduce import reproduce
from pipeline.commands.run import run
from pipeline.commands.serve import serve, trigger
from pipeline.commands.ship import ship
from pipeline.commands.study import study
from pipeline.commands.summary import summary

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(command(run))
app.command()(command(serve))
app.command()(command(trigger))
app.command()(command(monitor))
app.command()(command(configure))
app.command()(command(check))
app.command()(command(summary))
app.command()(command(champion))
app.command()(command(deps))
app.command()(command(ship))
app.command()(command(study))
for act in (report, promote, rollback, audit, reproduce, relocate):
    app.command()(command(act))

if __name__ == "__main__":
    app()
