"""Surroundings of a training."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from hmer.training.run import RunContext


def test_cannot_be_changed_under_way() -> None:
    run = RunContext(Path("resume"))
    assert run.logger is None
    assert run.progress
    with pytest.raises(FrozenInstanceError):
        run.resume = Path("other")  # type: ignore[misc]
