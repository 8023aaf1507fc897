"""Tests of process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from hmer.errors import HmerError
from pipeline.process import MARK, end, hold, run_group
from tests.pipeline.conftest import wait_until_gone

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.process import hold
with hold(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_held_by_another_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(HmerError, match=f"the flow is being run by process {holder.pid}"),
            hold(path, "the flow"),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with hold(path, "the flow"):
        pass


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
print(child.pid, flush=True)
child.wait()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
)


def test_exit_code_and_lines(tmp_path: Path) -> None:
    heard: list[str] = []
    code = run_group(
        [sys.executable, "-c", "import sys; print('a'); print('b', file=sys.stderr); sys.exit(7)"],
        tmp_path,
        heard.append,
    )
    assert code == 7
    assert sorted(heard) == ["a", "b"]


def test_without_a_listener_it_just_runs(tmp_path: Path) -> None:
    assert run_group([sys.executable, "-c", "import sys; sys.exit(3)"], tmp_path) == 3


@pytest.mark.parametrize("child", ["import time; time.sleep(3600)", STUBBORN])
def test_an_interruption_ends_the_whole_group(tmp_path: Path, child: str) -> None:
    """Also a grandchild that ignores everything but SIGKILL."""
    # Where pytest itself was started in the background, SIGINT would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    heard: list[str] = []

    def interrupt(line: str) -> None:
        heard.append(line)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_group([sys.executable, "-c", PARENT.format(child=child)], tmp_path, interrupt)
    wait_until_gone(int(heard[0]))


STARTER = """
import subprocess, sys, time
from pipeline.process import guard
guard()
quiet = subprocess.DEVNULL
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True, stdout=quiet)
print(child.pid, flush=True)
{then}
"""
SLEEPS = "import time; print(flush=True); time.sleep(3600)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(3600)"


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_nothing_outlives_us(how: str) -> None:
    """Not even a child in a session of its own that nobody waits for."""
    then = "time.sleep(3600)" if how == "killed" else "input()"
    mine = {k: v for k, v in os.environ.items() if k != MARK}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER.format(child=SLEEPS, then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=mine,
    )
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    assert psutil.pid_exists(child)
    if how == "killed":
        starter.send_signal(signal.SIGKILL)
    starter.communicate(None if how == "killed" else b"\n")
    wait_until_gone(child)


def test_who_does_not_listen_is_killed_and_others_are_left_alone() -> None:
    def start(mark: str, code: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, MARK: mark}, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        return child

    ours, other = start("ours", DEAF), start("theirs", SLEEPS)
    end("ours", grace=0.5)
    assert ours.wait() == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    for child in (ours, other):
        child.communicate()
