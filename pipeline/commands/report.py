"""`python -m pipeline report`."""

from __future__ import annotations

import sys

from pipeline.environment import project_root


def report() -> int:
    """Write reports/index.html: the state of the pipeline on one page."""
    from pipeline.overview.page import write_index

    page = write_index(project_root())
    if page is not None:
        sys.stdout.write(f"{page}\n")
    return 0 if page is not None else 1
