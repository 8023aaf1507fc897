"""A stage in a process that helps: it leaves nothing behind but its share of the work."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.dvcfile import declaration
from pipeline.stage import RANKS, HelperStage, is_helper

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


def test_who_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    assert not is_helper()
    monkeypatch.setenv("RANK", "0")
    assert not is_helper()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert is_helper()


def test_it_writes_and_tells_nothing(toy: Toy) -> None:
    stage = HelperStage("first", toy.root, declaration(toy.root, "first"))
    with stage.tracked({}) as tracker, stage.outputs("out/first") as out:
        (out / "value.txt").write_text("x")
        tracker.outputs(out)
        tracker.metrics({"loss": 1.0}, step=3)
        assert not tracker.logger
    assert not out.exists() and not (toy.root / "out").exists()
    with stage.output_file("out/first") as file:
        file.write_text("x")
    assert not file.exists()
    (stage.resume / "last.ckpt").write_text("shared")
    stage.end()
    assert (stage.resume / "last.ckpt").exists()
    with pytest.raises(ValueError, match="not among the outs"), stage.outputs("elsewhere"):
        pass


STARTER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "toy.py", "first"], env={**os.environ, "LOCAL_RANK": "1"})
time.sleep(90)
"""


def test_it_does_not_outlive_who_started_it(toy: Toy) -> None:
    """It runs beside the stage that holds the lock, and ends with it."""
    from pipeline.process import hold

    toy.params(first={"seconds": 90})
    with hold(toy.root / ".resume/first/lock", "the first process"):
        starter = toy.start("-c", STARTER)
        path = toy.root / "pid-first"
        deadline = time.monotonic() + 120
        while not (path.exists() and path.read_text()):
            assert starter.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        helper = Path("/proc") / path.read_text()
        deadline = time.monotonic() + 60
        while helper.exists():
            assert time.monotonic() < deadline, "it outlived its parent"
            time.sleep(0.05)
    assert starter.stdout is not None
    starter.stdout.close()
    assert sys.platform == "linux"
    assert not (toy.root / "out/first").exists()
