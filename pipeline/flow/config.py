"""How the flow behaves around the stages: tries, time limits, messages. Section `flow`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from pipeline.dvcfile import PARAMS
from pipeline.params import load_section, read_yaml

SECTION = "flow"
WEBHOOK = "HMER_WEBHOOK"
"""Environment variable that wins over `flow.webhook`: such an address is often a secret."""
TRAINING = "optimisation"
"""A stage whose parameters have this key trains something, and needs the machine for itself."""

Minutes = float


class FlowConfig(BaseModel):
    """Parameters of the flow; none of them can change what a stage writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: str | None = Field(
        None, pattern=r"^https?://", description="gets a JSON message by POST when a run ends"
    )
    notify: frozenset[Literal["failure", "success"]] = Field(
        frozenset({"failure"}), description="which ends are told"
    )
    delays: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (10.0, 60.0), max_length=10, description="seconds before the second, the third ... try"
    )
    limit: Minutes = Field(24 * 60.0, gt=0, description="minutes that a stage may take")
    limits: dict[str, Annotated[Minutes, Field(gt=0)]] = Field(
        default_factory=dict, description="the same for single stages, by name"
    )

    def seconds(self, stage: str) -> float:
        """The time limit of a stage."""
        return 60 * self.limits.get(stage, self.limit)


def flow_config(root: Path) -> FlowConfig:
    """The section `flow`, with the webhook of the environment if there is one.

    Raises:
        HmerError: an unknown key, or a value out of range.
    """
    return with_secret(load_section(root / PARAMS, SECTION, FlowConfig))


def with_secret(config: FlowConfig) -> FlowConfig:
    """The configuration with the webhook of the environment, if there is one."""
    secret = os.environ.get(WEBHOOK)
    return config.model_copy(update={"webhook": secret}) if secret else config


def is_training(root: Path, stage: str) -> bool:
    """Whether a stage trains."""
    section = read_yaml(root / PARAMS).get(stage)
    return isinstance(section, dict) and TRAINING in section


PATIENCE = 5.0
"""Seconds that a webhook may take."""


def notify(url: str, message: dict[str, Any]) -> bool:
    """POST a message; whether it was taken. A webhook that fails costs a warning, no more."""
    import httpx

    try:
        headers = {"User-Agent": "hmer"}
        httpx.post(url, json=message, headers=headers, timeout=PATIENCE).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Never the address itself: it may be the secret that lets one write there.
        answer = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else error
        sys.stderr.write(f"warning: the webhook did not take the message ({answer})\n")
        return False
    return True


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
        _tell(root, "failure", str(error), began, details)
        raise
    if not details.pop("quiet", False):
        _tell(root, "success", "up to date", began, details)


def _config(root: Path) -> FlowConfig:
    """The section `flow`; where the parameters cannot be read, which is told elsewhere, none."""
    try:
        return flow_config(root)
    except HmerError:
        return with_secret(FlowConfig())


def _tell(root: Path, outcome: str, text: str, began: float, details: dict[str, Any]) -> None:
    """Send a message if it is wanted: `text` is what chat services show, the rest for programs."""
    config = _config(root)
    if config.webhook is None or outcome not in config.notify:
        return
    said = str(details.pop("message", text))
    message = {
        "text": f"hmer ({root.name}): {outcome}: {said}",
        "project": root.name,
        "outcome": outcome,
        "message": said,
        "seconds": round(time.monotonic() - began, 1),
        **details,
    }
    notify(config.webhook, message)
