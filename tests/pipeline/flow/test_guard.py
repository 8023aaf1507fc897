"""What we started ends with us, however we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.process import MARK, end

STARTER = """
import subprocess, sys, time
from pipeline.process import guard
guard()
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
print(child.pid, flush=True)
{then}
"""
SLEEPS = "import time; print(flush=True); time.sleep(3600)"
STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(pid: int) -> None:
    while alive(pid):
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_nothing_outlives_us(how: str) -> None:
    """Not even a child in a session of its own that nobody waits for."""
    then = "time.sleep(3600)" if how == "killed" else "input()"
    mine = {k: v for k, v in os.environ.items() if k != MARK}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER.format(child=SLEEPS, then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=mine,
    )
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    assert alive(child)
    if how == "killed":
        starter.send_signal(signal.SIGKILL)
    starter.communicate(None if how == "killed" else b"\n")
    wait_for(child)


def test_who_does_not_listen_is_killed_and_others_are_left_alone() -> None:
    def start(mark: str, code: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, MARK: mark}, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        return child

    ours, other = start("ours", STUBBORN), start("theirs", SLEEPS)
    end("ours", grace=0.5)
    assert ours.wait() == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    for child in (ours, other):
        child.communicate()
