"""Questions to DVC, each in a process of its own: DVC stays out of the process that asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hmer.errors import HmerError


def ask(root: Path, script: str, complaint: Callable[[str], str]) -> Any:
    """Run a script that talks to DVC's own library and prints its answer as JSON.

    Args:
        root: of the project; the script's first argument and its working folder.
        script: Python.
        complaint: makes the message of what the failed script wrote to its standard error.

    Raises:
        HmerError: the script failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise HmerError(complaint(done.stderr))
    return json.loads(done.stdout)
