from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from pipeline.flow import flow as record
from pipeline.flow.flow import wait


def told(*answers: list[StateType | None]) -> Iterator[list[State[Any] | None]]:
    """Answers of the server, one after the other; the last one for ever."""
    for answer in answers:
        yield [None if kind is None else State(type=kind) for kind in answer]
    while True:
        yield [None if kind is None else State(type=kind) for kind in answers[-1]]


def test_waits_for_every_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "PAUSE", 0)
    done, running = StateType.COMPLETED, StateType.RUNNING
    answers = told([], [running], [done, None], [done, running], [done, StateType.FAILED])
    assert wait(lambda: next(answers), 2)
    assert next(answers)[1] is not None


def test_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "PAUSE", 0)
    monkeypatch.setattr(record, "PATIENCE", 0.05)
    answers = told([StateType.COMPLETED, StateType.RUNNING])
    assert not wait(lambda: next(answers), 2)
