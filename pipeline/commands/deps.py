"""`python -m pipeline deps`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.environment import project_root


def deps(
    write: Annotated[bool, typer.Option("--write", help="bring dvc.yaml up to date")] = False,
) -> int:
    """Compare the code among the deps in dvc.yaml with what the stages import."""
    from pipeline.dependencies import outdated_deps, write_deps

    changed = (write_deps if write else outdated_deps)(project_root())
    if changed:
        sys.stdout.write(f"{'written' if write else 'out of date'}: {', '.join(changed)}\n")
    return 0 if write or not changed else 1
