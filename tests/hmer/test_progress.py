"""Progress on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from hmer.progress import Steps


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("hmer.progress.time.monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Stream(False)
    monkeypatch.setattr("sys.stderr", log)
    with Steps("train", 8, unit=" steps") as steps:
        steps.update(1)
        clock[0] += 9.9
        steps.update(2)
        assert not log.getvalue()
        clock[0] += 0.1
        steps.update(3, note="loss 0.5")
        clock[0] += 5
        steps.advance(4)
        clock[0] += 5
        steps.update(5, total=10)
    assert log.getvalue() == (
        "train: 3/8 steps (38%) after 10 s loss 0.5\ntrain: 5/10 steps (50%) after 20 s\n"
    )


def test_an_unknown_total_has_no_share(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    log = Stream(False)
    monkeypatch.setattr("sys.stderr", log)
    steps = Steps("read", None)
    clock[0] += 10
    steps.update(7)
    assert log.getvalue() == "read: 7 after 10 s\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_if_not_wanted(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    log = Stream(terminal)
    monkeypatch.setattr("sys.stderr", log)
    with Steps("train", 3, wanted=False) as steps:
        clock[0] += 60
        steps.update(3)
    assert not log.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Stream(True)
    monkeypatch.setattr("sys.stderr", log)
    with Steps("train", 3) as steps:
        steps.update(2, note="loss 0.5")
    assert "train" in log.getvalue()
    assert "2/3" in log.getvalue()
    assert "loss 0.5" in log.getvalue()
