"""Telling somebody how a run ended: a small JSON message to a webhook."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hmer.errors import HmerError
from pipeline.flow.orchestration import FlowConfig, flow_config, with_secret

PATIENCE = 5.0
"""Seconds that a webhook may take."""


def notify(url: str, message: dict[str, Any]) -> bool:
    """POST a message; whether it was taken. A webhook that fails costs a warning, no more."""
    request = urllib.request.Request(
        url,
        json.dumps(message).encode(),
        {"Content-Type": "application/json", "User-Agent": "hmer"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return True
    except (OSError, ValueError) as error:
        # Never the address itself: it may be the secret that lets one write there.
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        sys.stderr.write(f"warning: the webhook did not take the message ({reason})\n")
        return False


@contextmanager
def notifying(root: Path) -> Iterator[dict[str, Any]]:
    """Tell the webhook, if there is one, how the block ended.

    The block may put more into the dictionary it gets; `quiet` set there keeps a success silent.
    An interruption by a signal is told to nobody: who sent it knows. The parameters are read when
    the block has ended: it may be what writes them.
    """
    began = time.monotonic()
    details: dict[str, Any] = {}
    try:
        yield details
    except Exception as error:
        config = _config(root)
        if config.webhook and "failure" in config.notify:
            notify(config.webhook, _message(root, "failure", str(error), began, details))
        raise
    config = _config(root)
    if config.webhook and "success" in config.notify and not details.pop("quiet", False):
        notify(config.webhook, _message(root, "success", "up to date", began, details))


def _config(root: Path) -> FlowConfig:
    """The section `flow`; where the parameters cannot be read, which is told elsewhere, none."""
    try:
        return flow_config(root)
    except HmerError:
        return with_secret(FlowConfig())


def _message(
    root: Path, outcome: str, text: str, began: float, details: dict[str, Any]
) -> dict[str, Any]:
    """`text` is what chat services show; the rest is for programs."""
    said = str(details.pop("message", text))
    return {
        "text": f"hmer ({root.name}): {outcome}: {said}",
        "project": root.name,
        "outcome": outcome,
        "message": said,
        "seconds": round(time.monotonic() - began, 1),
        **details,
    }
