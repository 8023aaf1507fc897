"""`python -m pipeline champion`."""

from __future__ import annotations

import sys

from pipeline.environment import project_root


def champion() -> None:
    """Fetch the registry's champion into data/models/champion, for `hmer recognize`."""
    from pipeline.registry.champion import fetch

    sys.stdout.write(f"{fetch(project_root())}\n")
