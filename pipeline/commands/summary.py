"""`python -m pipeline summary`."""

from __future__ import annotations

import sys

from pipeline.environment import project_root


def summary() -> None:
    """Say what came out of the last run."""
    from pipeline.summary import summary

    sys.stdout.write(summary(project_root()) + "\n")
